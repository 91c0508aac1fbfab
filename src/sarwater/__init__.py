"""Maps water from radar (SAR) imagery, also where nobody has labelled anything."""

__version__ = "0.1.0"
