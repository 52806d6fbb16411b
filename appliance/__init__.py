"""The appliance: configuration, engine life cycle, lab and command line. No HTTP, no ffi."""
