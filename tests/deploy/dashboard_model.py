"""What Grafana's documentation of the dashboard JSON says of the parts that ours uses; nothing else may be in it.

The names and values are those of the dashboard kind that is published as `@grafana/schema`: types of TypeScript,
and no schema. Grafana ignores a name that it does not know, and draws the panel without what was meant.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

Colour: TypeAlias = Literal["green", "orange", "red", "blue", "transparent"]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]
Nothing: TypeAlias = Annotated[list[None], Meta(max_length=0)]
Unit: TypeAlias = Literal["none", "bytes", "ops", "percentunit", "reqps", "s"]


class Strict(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An object without other names than these."""


class Source(Strict, frozen=True):
    type: Literal["prometheus"]
    uid: Text


class Place(Strict, frozen=True):
    """In a grid of 24 columns."""

    h: Annotated[int, Meta(ge=1)]
    w: Annotated[int, Meta(ge=1, le=24)]
    x: Annotated[int, Meta(ge=0, lt=24)]
    y: Annotated[int, Meta(ge=0)]


class Target(Strict, frozen=True):
    """A query of Prometheus: over the time that is shown, or at its end."""

    ref_id: Annotated[str, Meta(pattern=r"^[A-Z]$")]
    datasource: Source
    expr: Text
    legend_format: Text
    editor_mode: Literal["code", "builder"]
    range: Literal[True] | UnsetType = UNSET
    instant: Literal[True] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.range is UNSET) == (self.instant is UNSET):
            raise ValueError("a query is either a range or instant")


class Step(Strict, frozen=True):
    """A colour from this value on; the first has none, which is minus infinity."""

    color: Colour
    value: float | None


class Thresholds(Strict, frozen=True):
    mode: Literal["absolute", "percentage"]
    steps: Annotated[list[Step], Meta(min_length=1)]

    def __post_init__(self) -> None:
        first, *others = [step.value for step in self.steps]
        values = [value for value in others if value is not None]
        if first is not None or len(values) < len(others) or values != sorted(set(values)):
            raise ValueError("the first step has no value, and the others ascend")


class Stacking(Strict, frozen=True):
    mode: Literal["none", "normal", "percent"]
    group: str


class ThresholdsStyle(Strict, frozen=True):
    mode: Literal["off", "line", "dashed", "area", "line+area", "dashed+area", "series"]


class Line(Strict, frozen=True):
    """How a time series is drawn."""

    draw_style: Literal["line", "bars", "points"]
    line_width: Annotated[int, Meta(ge=0, le=10)]
    fill_opacity: Annotated[int, Meta(ge=0, le=100)]
    show_points: Literal["auto", "never", "always"]
    span_nulls: bool
    stacking: Stacking | UnsetType = UNSET
    thresholds_style: ThresholdsStyle | UnsetType = UNSET


class Defaults(Strict, frozen=True):
    unit: Unit
    thresholds: Thresholds
    min: float | UnsetType = UNSET
    max: float | UnsetType = UNSET
    decimals: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    custom: Line | UnsetType = UNSET


class Fields(Strict, frozen=True):
    defaults: Defaults
    overrides: Nothing


class Legend(Strict, frozen=True):
    show_legend: bool
    display_mode: Literal["list", "table", "hidden"]
    placement: Literal["bottom", "right"]
    calcs: list[Literal["lastNotNull", "max", "min", "mean"]]


class Tooltip(Strict, frozen=True):
    mode: Literal["single", "multi", "none"]
    sort: Literal["none", "asc", "desc"]


class SeriesOptions(Strict, frozen=True):
    legend: Legend
    tooltip: Tooltip


class Reduction(Strict, frozen=True):
    calcs: list[Literal["lastNotNull", "last", "max", "min", "mean", "sum"]]
    fields: str
    values: bool


class StatOptions(Strict, frozen=True):
    reduce_options: Reduction
    color_mode: Literal["none", "value", "background", "background_solid"]
    graph_mode: Literal["none", "line", "area"]
    justify_mode: Literal["auto", "center"]
    orientation: Literal["auto", "horizontal", "vertical"]
    text_mode: Literal["auto", "value", "value_and_name", "name", "none"]


class Shown(Strict, frozen=True):
    """What every panel with queries has."""

    id: int
    title: Text
    description: Text
    datasource: Source
    grid_pos: Place
    targets: Annotated[list[Target], Meta(min_length=1)]
    field_config: Fields


class Series(Shown, frozen=True, tag="timeseries", tag_field="type"):
    options: SeriesOptions


class Stat(Shown, frozen=True, tag="stat", tag_field="type"):
    options: StatOptions


class Row(Strict, frozen=True, tag="row", tag_field="type"):
    """A heading. Open, it holds none of the panels below it."""

    id: int
    title: Text
    collapsed: Literal[False]
    grid_pos: Place
    panels: Nothing


class Query(Strict, frozen=True):
    query: Text
    ref_id: Text


class Chosen(Strict, frozen=True):
    text: str | list[str] | UnsetType = UNSET
    value: str | list[str] | UnsetType = UNSET


class Variable(Strict, frozen=True):
    """`refresh`: 1 when the dashboard is loaded, 2 when the time changes. `sort`: 1 by name."""

    name: Text
    label: Text
    type: Literal["datasource", "query"]
    query: Query | Literal["prometheus"]
    refresh: Literal[1, 2]
    multi: bool | UnsetType = UNSET
    current: Chosen | UnsetType = UNSET
    options: Nothing | UnsetType = UNSET
    datasource: Source | UnsetType = UNSET
    sort: Literal[0, 1, 2] | UnsetType = UNSET
    include_all: bool | UnsetType = UNSET
    all_value: str | UnsetType = UNSET


class Variables(Strict, frozen=True):
    all: list[Variable] = field(name="list")


class Annotation(Strict, frozen=True):
    name: Text
    enable: bool
    icon_color: Colour
    datasource: Source
    expr: Text
    title_format: str
    text_format: str


class Annotations(Strict, frozen=True):
    all: list[Annotation] = field(name="list")


class Span(Strict, frozen=True):
    since: Text = field(name="from")
    to: Text


class Dashboard(Strict, frozen=True):
    """`graph_tooltip` 1 is a crosshair that all panels share."""

    uid: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,40}$")]
    title: Text
    description: Text
    tags: list[str]
    schema_version: Annotated[int, Meta(ge=36)]
    version: int
    editable: bool
    graph_tooltip: Literal[0, 1, 2]
    refresh: Annotated[str, Meta(pattern=r"^\d+[smh]$")]
    time: Span
    timezone: Literal["browser", "utc"]
    templating: Variables
    annotations: Annotations
    links: Nothing
    panels: list[Series | Stat | Row]
