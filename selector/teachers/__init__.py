"""Teachers: what a teacher network is, where its weights come from, how its input is prepared."""
