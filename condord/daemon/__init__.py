"""The composition of the daemon: build the parts, connect them and run them."""
