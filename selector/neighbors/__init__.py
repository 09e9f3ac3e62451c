"""Neighbours: which images of a pool lie close to each other, by features, looks or bytes.

FAISS lives in this room alone and is imported when it is needed. `vector_file` brings the vectors
of a run onto local disk once; `build` and `search` make and ask an index over them; `greedy` is
the rule that removes duplicates, `cosine` and `hamming` are the two spaces that it works in;
`clusters` is k-means.
"""
