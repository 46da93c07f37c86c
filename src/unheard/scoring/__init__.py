"""From samples to a verdict: the Scorer, streams, many files, pictures and case reports."""
