//! Evidence in, documents out: tables, Markdown, HTML and plots.
