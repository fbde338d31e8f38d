"""The spiking core as the host knows it: what its memories hold, and how many cycles it takes."""
