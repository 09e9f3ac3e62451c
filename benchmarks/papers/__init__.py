"""The papers' arms on our pools: tables declared as data, run by one program, resumable."""
