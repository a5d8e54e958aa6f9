"""The adapter to another condord, which a relay follows."""
