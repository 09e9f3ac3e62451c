"""Pure scores of an image: what the teacher's logits say, and what its bytes and pixels hash to."""
