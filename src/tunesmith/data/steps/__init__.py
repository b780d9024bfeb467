"""Steps of preparation: one file each, in which the class of the same name is the step."""
