"""Alert rules: what they compare, how they are written, and how they are evaluated."""
