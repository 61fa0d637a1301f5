"""Forms that texts have: each reader gives the text as the form's rules write it, None where it has another form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from airflow_datahub.amounts import MINOR_UNITS
from airflow_datahub.extras import library

Reader = Callable[[str], str | None]

_COUNTRIES = frozenset(
    """AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB
    GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG
    KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB
    SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US
    UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW""".split()  # noqa: SIM905
)
"""ISO 3166-1, as of 2025."""

_IBAN_LENGTHS = """AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28
EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20
LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29
RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"""
_LENGTHS = {each[:2]: int(each[2:]) for each in _IBAN_LENGTHS.split()}
"""SWIFT's IBAN registry, release 99."""

_URL = re.compile(r"https?://[^\s<>\"{}|\\^`\x00-\x20]+", re.IGNORECASE)


def gtin(text: str) -> str | None:
    """GTIN-8, -12, -13 or -14 by GS1, whose last digit is computed from the others."""
    digits = text.replace(" ", "").replace("-", "")
    if len(digits) not in (8, 12, 13, 14) or not (digits.isascii() and digits.isdigit()):
        return None
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return None if weighted % 10 else digits


def iban(text: str) -> str | None:
    """ISO 13616: the country's length, and the remainder 1 of a division by 97."""
    plain = text.replace(" ", "").upper()
    if _LENGTHS.get(plain[:2]) != len(plain) or not re.fullmatch("[A-Z]{2}[0-9]{2}[A-Z0-9]+", plain):
        return None
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    return plain if int(number) % 97 == 1 else None


def url(text: str) -> str | None:
    """An http or https address with a host."""
    try:
        parts = urlsplit(text) if _URL.fullmatch(text) else None
        return text if parts and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def phone_reader(region: str | None) -> Reader:
    """Numbers that exist by the plans of their countries, as Google's libphonenumber knows them; E.164."""
    phonenumbers: Any = library("phonenumbers", "match-format")

    def read(text: str) -> str | None:
        try:
            number = phonenumbers.parse(text, region) if len(text) <= 250 else None
        except phonenumbers.NumberParseException:
            return None
        if number is None or not phonenumbers.is_valid_number(number):
            return None
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    return read


def normal_email() -> Reader:
    """An address by the rules of RFC 5321 and 6531; nobody is asked whether the domain exists."""
    validator: Any = library("email_validator", "match-format")

    def read(text: str) -> str | None:
        try:
            found = validator.validate_email(text, check_deliverability=False) if len(text) <= 320 else None
        except (validator.EmailNotValidError, UnicodeError):
            return None
        return str(found.normalized) if found else None

    return read


def _read_by(read: Callable[[str], Any], errors: tuple[type[Exception], ...] = (ValueError,)) -> Reader:
    def reader(text: str) -> str | None:
        try:
            read(text)
        except errors:
            return None
        return text

    return reader


def _uuid(text: str) -> str | None:
    return str(UUID(text)) if re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) else None


FORMATS: Mapping[str, Reader] = {
    "url": url,
    "gtin": gtin,
    "iban": iban,
    "country": lambda text: text if text in _COUNTRIES else None,
    "currency": lambda text: text if text in MINOR_UNITS else None,
    "uuid": _uuid,
    "ipv4": _read_by(IPv4Address, (AddressValueError,)),
    "ipv6": _read_by(IPv6Address, (AddressValueError,)),
    "date": _read_by(date.fromisoformat),
    "datetime": _read_by(datetime.fromisoformat),
}
