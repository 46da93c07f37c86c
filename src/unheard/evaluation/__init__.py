"""Score files in, reports out: numbers with intervals, text and pictures."""
