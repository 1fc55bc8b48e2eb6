"""Systems over HTTP, with a web page: `gmner serve`. Needs the extra `serve`."""
