"""What the engine can be asked and told: the models that its service, the api and the command line share."""
