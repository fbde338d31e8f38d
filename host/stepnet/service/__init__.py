"""A pool of boards over HTTP: pictures are posted, and what was read in them comes back as JSON.

`app` has the requests and their answers, `uploads` makes images of what was posted, `admission`
says who has to wait, `access` who is let in, `metrics` counts for Prometheus, and `openapi` is the
description that programs read.
"""
