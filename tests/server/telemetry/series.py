"""The metrics of a service, as Prometheus reads them."""

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families


async def series(http: ClientSession) -> dict[str, float]:
    """Return every sample of `/metrics` by its name and the values of its labels: `consentful_refusals_total gap`."""
    async with http.get("/metrics") as response:
        page = await response.text()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
