"""Loss functions as plain maths on tensors: no configuration, no state, no I/O."""
