"""What the service counts, in Prometheus' format."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ServiceMetrics:
    """One registry a service, so that several can live in one process."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("gmner_requests", "Requests.", ("route", "status"), registry=self.registry)
        self.seconds = Histogram(
            "gmner_request_seconds", "Time of a request.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.posts = Counter("gmner_posts", "Posts by what became of them.", ("result",), registry=self.registry)
        self.batches = Histogram(
            "gmner_batch_posts", "Posts of a batch.", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )
        Gauge("gmner_waiting_posts", "Posts in the queue.", registry=self.registry).set_function(waiting)

    def text(self) -> bytes:
        """Everything, as it is scraped."""
        return generate_latest(self.registry)
