"""A standalone Spark cluster on this machine: a master and two workers of one core each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dolly.java import find_java
from tests.system.server import Server, running


@contextmanager
def spark_cluster(folder: Path) -> Iterator[str]:
    """Starts the cluster; gives its URL.

    Args:
        folder: for the logs and the workers' files.
    """
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(folder / "work"),
        "JAVA_HOME": str(find_java()),
        "GLOO_SOCKET_IFNAME": "lo",  # else gloo looks the host's name up
    }

    def daemon(name: str, log: Path, arguments: Callable[[int], list[str]], words: Callable[[int], str]) -> Server:
        program = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
        return Server(
            lambda port: [*program, "--host", "127.0.0.1", "--webui-port", "0", *arguments(port)],
            ready=lambda port: words(port) in log.read_text(),
            log=log,
            environment=environment,
        )

    with ExitStack() as stack:

        def start(name: str, log: str, arguments: Callable[[int], list[str]], words: Callable[[int], str]) -> Server:
            return stack.enter_context(running(daemon(name, folder / log, arguments, words)))

        master = start(
            "master.Master",
            "master.log",
            lambda port: ["--port", str(port)],
            # Spark takes the next port if this one is in use, and then names that.
            lambda port: f"Starting Spark master at spark://127.0.0.1:{port}\n",
        )
        url = f"spark://127.0.0.1:{master.port}"
        for number in (1, 2):
            start(
                "worker.Worker",
                f"worker{number}.log",
                lambda _: ["--cores", "1", "--memory", "1g", url],
                lambda _: "Successfully registered with master",
            )
        yield url
