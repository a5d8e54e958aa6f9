"""Alert rules: what they compare, how they are written, and what they come to."""
