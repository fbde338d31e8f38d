"""The bitstreams that come with Stepnet, their manifests, and the page about them."""
