"""A Dask cluster on this machine, for tests."""

import socket
import subprocess
import sys


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class DaskCluster:
    """A scheduler and workers in processes of their own, always at the same port."""

    def __init__(self, folder):
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._folder = folder
        self._processes = []

    def start(self, workers):
        port = self.address.rpartition(":")[2]
        self._run("dask_scheduler", "--host", "127.0.0.1", "--port", port)
        return [self.worker() for _ in range(workers)]

    def worker(self):
        return self._run("dask_worker", self.address, "--nthreads", "1", "--no-nanny")

    def kill(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def _run(self, module, *words):
        command = [sys.executable, "-m", f"distributed.cli.{module}", *words, "--no-dashboard"]
        process = subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        return process
