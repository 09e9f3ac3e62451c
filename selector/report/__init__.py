"""The report: what a selection took and left, as one HTML file that opens anywhere, offline.

`selector.report.page.report` makes it. There is no script in it: figures are SVG, thumbnails are
data URIs, and the page's own policy forbids everything else.
"""
