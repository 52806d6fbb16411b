"""The dataplane: C that moves packets (src), the thinnest Python over it (binding), and pyxdp."""
