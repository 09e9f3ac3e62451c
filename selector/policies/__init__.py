"""Policies: pure functions from columns to the mask of the rows to keep.

Every policy is decomposable: of `survivors of what came before + the next chunk` it keeps the
same rows as of everything at once. So a pool larger than memory is selected chunk by chunk.
"""
