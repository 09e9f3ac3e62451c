"""What a scoring run will take: probes of its own stage on its own workers, and what follows."""
