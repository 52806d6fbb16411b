"""What the engine, the api and the commands exchange: requests, answers, errors; and the socket's client."""
