"""Sets, dates and thresholds of the policy table, written down once more by hand; nothing is read from the product.

Only facts stand here: who belongs to what, from when until when. Days named as an end are included.
"""

from __future__ import annotations

import datetime as dt

Day = dt.date
ALWAYS = Day.min
NEVER_ENDS = Day.max


def codes(text: str) -> frozenset[str]:
    """Return the words of a line as a set."""
    return frozenset(text.split())


EU27 = codes("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE")
EEA = EU27 | {"IS", "LI", "NO"}
FIVE_EYES = codes("AU CA GB NZ US")
NAMED_SETS = {"EU": EU27, "EEA": EEA, "FVEY": FIVE_EYES}

PERSONAL = codes("personal health genomic omic biometric geolocation financial identifiers")

# Country -> first day, last day, framework that the recipient must be under (None: no condition).
EU_ADEQUATE: dict[str, tuple[Day, Day, str | None]] = {
    **dict.fromkeys(codes("AD AR FO GG IL IM JE NZ CH UY"), (ALWAYS, NEVER_ENDS, None)),
    "CA": (ALWAYS, NEVER_ENDS, "pipeda"),
    "JP": (Day(2019, 1, 23), NEVER_ENDS, "appi"),
    "KR": (Day(2021, 12, 17), NEVER_ENDS, None),
    "GB": (Day(2025, 12, 19), Day(2031, 12, 27), None),
    "US": (Day(2023, 7, 10), NEVER_ENDS, "dpf"),
    "BR": (Day(2026, 1, 26), NEVER_ENDS, None),
}

UK_FREE = EEA | {"GB", "GI"}
# Country -> first day, framework that the recipient must be under (None: no condition).
UK_ADEQUATE: dict[str, tuple[Day, str | None]] = {
    **dict.fromkeys(codes("AD AR FO GG IL IM JE NZ CH UY KR"), (ALWAYS, None)),
    "CA": (ALWAYS, "pipeda"),
    "JP": (ALWAYS, "appi"),
    "US": (Day(2023, 10, 12), "dpf-uk"),
}

EMBARGOED = codes("CU IR KP SY")
EMBARGOED_REGIONS = codes("UA-43 UA-40 UA-14 UA-09")

_A5 = codes(
    "AR AU AT BE BG CA HR CZ DK EE FI FR DE GR HU IS IN IE IT JP KR LV LT LU NL NZ NO PL PT RO SK SI ES SE CH TR GB"
)
A6 = codes("AL CY IL MT MX SG ZA TW")
_D5 = codes("AF BY MM CF CN CD CU ER HT IR IQ KP LB LY NI RU SO SS SD SY VE ZW")
D1 = codes("AM AZ BY KH CN GE IQ KZ KP KG LA LY MO MD MN MM RU TJ TM UZ VE VN YE")
_D4 = codes("BH CN EG IR IQ IL JO KP KW LB LY MO OM PK QA SA SY YE")
_D4_POSSIBLY = codes("BY MM RU VE")
AE_MOVED = Day(2026, 7, 10)
CAMBODIA_LEFT = Day(2026, 2, 3)


def a5(at: Day) -> frozenset[str]:
    """Return country group A:5 on a day."""
    return _A5 | {"AE"} if at >= AE_MOVED else _A5


def d4(at: Day) -> frozenset[str]:
    """Return country group D:4 on a day, doubtful members included."""
    members = _D4 | _D4_POSSIBLY
    return members if at >= AE_MOVED else members | {"AE"}


def d5(at: Day) -> frozenset[str]:
    """Return country group D:5 on a day, Hong Kong included."""
    members = _D5 | {"HK"}
    return members if at >= CAMBODIA_LEFT else members | {"KH"}


def d5_and_macau(at: Day) -> frozenset[str]:
    """Return D:5 and Macau, which is named beside it."""
    return d5(at) | {"MO"}


def licence_destinations(at: Day) -> frozenset[str]:
    """Return the destinations for which controlled accelerators need a licence."""
    return ((D1 | d4(at) | d5(at) | {"MO", "HK"}) - a5(at) - A6) | {"AE"}


SUPPLEMENT_8_FROM = AE_MOVED
SUPPLEMENT_8_TO = {
    "G42": Day(2027, 4, 6),
    "Core42": Day(2027, 4, 6),
    **dict.fromkeys(codes("Amazon Apple Google Meta Microsoft OpenAI Oracle xAI"), NEVER_ENDS),
    "UAE government": NEVER_ENDS,
}

HQ_RULE_FROM = Day(2026, 5, 31)

DOJ_FROM = Day(2025, 4, 8)
DOJ_COUNTRIES = codes("CN HK MO CU IR KP RU VE")
DOJ_THRESHOLDS = {
    "genomic": 100,
    "omic": 1_000,
    "biometric": 1_000,
    "geolocation": 1_000,
    "health": 10_000,
    "financial": 10_000,
    "identifiers": 100_000,
}

CN_ASSESSMENT_PERSONS = 1_000_000
CN_ASSESSMENT_SENSITIVE = 10_000
CN_CONTRACT_PERSONS = 100_000

VN_FROM = Day(2026, 1, 1)

SEAL_WEIGHTS = {1: 15, 2: 10, 3: 10, 4: 15, 5: 20, 6: 15, 7: 10, 8: 5}

LOG_RETENTION_DAYS = 183
HIGH_RISK_FROM = Day(2027, 12, 2)
SYSTEMIC_FLOP = 10**25
ATTESTATION_HOURS = 24
