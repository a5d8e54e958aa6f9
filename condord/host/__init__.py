"""The interface to the machine: files and directories, signals, logs, the journal, systemd."""
