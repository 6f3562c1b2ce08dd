"""The report of a benchmark: results, comparisons, figures, and the page that shows them."""
