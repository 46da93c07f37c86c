"""Clips, manifests, shards, stored rows and protocols; batches for training."""
