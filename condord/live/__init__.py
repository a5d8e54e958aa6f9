"""How positions and quotes become a stream: state machines that take `now` and return what to do."""
