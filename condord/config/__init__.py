"""The configuration: its schema, the sources of its values, and the credentials."""
