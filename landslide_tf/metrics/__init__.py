"""Streaming metrics and the scores made from them."""
