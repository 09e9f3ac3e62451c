"""The same pool, teacher and outputs through coursepack and through what people use today."""
