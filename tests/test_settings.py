"""Settings: the layers, and what a person is told when one of them is wrong."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bridge.errors import SettingsError
from bridge.events import Channel
from bridge.loading import as_environment, find_file, load
from bridge.mistakes import SECRETS, names
from bridge.settings import Broker, Dashboard, Influx, Section, Settings

SAMPLE = Path(__file__).parents[1] / "bridge" / "tickbridge.sample.toml"
NO_FILE = {"TICKBRIDGE_CONFIG": ""}


def file(folder: Path, text: str) -> Path:
    path = folder / "tickbridge.toml"
    path.write_text(text, encoding="utf-8")
    return path


def given(sets: Sequence[str] = (), environ: Mapping[str, str] = NO_FILE, config: Path | None = None) -> Settings:
    return load(config, sets, environ).settings


def mistake(text: str = "", sets: Sequence[str] = (), environ: Mapping[str, str] = NO_FILE, *, at: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(file(at, text), sets, environ)
    return str(caught.value).replace(str(at) + "/", "").splitlines()


def test_nothing_given_gives_the_defaults() -> None:
    assert given() == Settings()


def test_sample_file_equals_the_defaults() -> None:
    assert Settings.model_validate(tomllib.loads(SAMPLE.read_text(encoding="utf-8"))) == Settings()


def test_sample_file_shows_every_setting() -> None:
    uncommented = "\n".join(
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in SAMPLE.read_text(encoding="utf-8").splitlines()
    )
    tables = tomllib.loads(uncommented)
    shown = {".".join(path) for path in _leaves(tables)}
    assert {name for name in names() if name not in shown} == {"log.areas"}  # its names are free


def _leaves(table: dict[str, object], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in table.items():
        found += _leaves(value, (*above, key)) if isinstance(value, dict) else [(*above, key)]
    return found


def test_each_layer_wins_over_the_one_before(tmp_path: Path) -> None:
    config = file(tmp_path, "[broker]\nport = 1\nhost = 'file'\nuser = 'file'\n")
    environ = {"TICKBRIDGE_BROKER__PORT": "2", "TICKBRIDGE_BROKER__HOST": "env"}
    broker = given(["broker.port=3"], environ, config).broker
    assert (broker.port, broker.host, broker.user) == (3, "env", "file")


def test_lists_are_parted_by_commas_or_json_in_variables() -> None:
    plain = given(environ={**NO_FILE, "TICKBRIDGE_EXCHANGES__KUCOIN__SYMBOLS": "A-B, C-D"})
    told = given(['exchanges.kucoin.symbols=["A-B","C-D"]', "exchanges.kucoin.channels=ticker"])
    assert plain.exchanges.kucoin.symbols == told.exchanges.kucoin.symbols == ("A-B", "C-D")
    assert told.exchanges.kucoin.channels == {Channel.TICKER}


def test_levels_of_areas_keep_their_dots() -> None:
    settings = given(["log.areas.bridge.session=debug"], {**NO_FILE, "TICKBRIDGE_LOG__AREAS__BRIDGE__FILLS": "error"})
    assert settings.log.areas == {"bridge.session": "debug", "bridge.fills": "error"}


def test_empty_text_takes_an_optional_setting_away(tmp_path: Path) -> None:
    assert (
        given(["broker.user="], config=file(tmp_path, "[broker]\nuser = 'x'\npassword_file = '/x'\n")).broker.user
        is None
    )
    assert given(["broker.password_file="]).broker.password_file is None


def test_settings_survive_the_way_through_a_childs_environment() -> None:
    texts = {"broker.port": "1999", "log.areas.bridge.rest": "debug", "broker.password_file": ""}
    child = given(environ={**NO_FILE, **as_environment(texts)})
    assert child == given([f"{name}={text}" for name, text in texts.items()])


def test_first_file_of_option_variable_folder_and_home_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "config" / "tickbridge"
    home.mkdir(parents=True)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    own = file(home, "")
    assert find_file(None, environ) == own
    file(tmp_path, "")
    assert find_file(None, environ) == Path("tickbridge.toml")
    named = file(tmp_path / "config", "")
    assert find_file(None, {**environ, "TICKBRIDGE_CONFIG": str(named)}) == named
    assert find_file(own, {**environ, "TICKBRIDGE_CONFIG": str(named)}) == own
    assert find_file(None, {**environ, "TICKBRIDGE_CONFIG": ""}) is None


def test_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"--config = /nowhere\.toml: there is no such file"):
        load(Path("/nowhere.toml"), (), {})
    with pytest.raises(SettingsError, match=r"TICKBRIDGE_CONFIG = /nowhere\.toml: there is no such file"):
        load(None, (), {"TICKBRIDGE_CONFIG": "/nowhere.toml"})


def test_a_variable_with_one_line_instead_of_two_is_told_its_right_name(tmp_path: Path) -> None:
    (told,) = mistake(environ={**NO_FILE, "TICKBRIDGE_BROKER_PORT": "1"}, at=tmp_path)
    assert told == ("TICKBRIDGE_BROKER_PORT: broker_port is no setting: did you mean TICKBRIDGE_BROKER__PORT?")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[broker]\nprot = 1", "broker.prot is no setting: did you mean broker.port?"),
        ("port = 1", "port is no setting: did you mean broker.port or dashboard.port?"),
        (
            "[exchanges.kukoin]\nenabled = true",
            "exchanges.kukoin is no setting: did you mean exchanges.kucoin?",
        ),
        ("[broker]\nport = 70000", "broker.port = 70000: must be at most 65535"),
        ("[broker]\nport = 1.5", "broker.port = 1.5: must be a whole number"),
        ("[broker]\nhost = 3", "broker.host = 3: must be a text"),
        ("[feed]\nping_s = 'fast'", "feed.ping_s = fast: must be a number"),
        ("[feed]\nping_s = 0", "feed.ping_s = 0: must be more than 0"),
        ("[exchanges.kucoin]\nenabled = 'maybe'", "exchanges.kucoin.enabled = maybe: must be true or false"),
        (
            "[exchanges.kucoin]\nsymbols = 'BTC-USDT'",
            'exchanges.kucoin.symbols = BTC-USDT: must be a list, like ["one", "two"]',
        ),
        (
            "[exchanges.kucoin]\nchannels = ['ticker', 'trade']",
            "exchanges.kucoin.channels = trade: must be ticker, stats, trades or candles; did you mean trades?",
        ),
        (
            "[exchanges.binance]\nsymbols = ['btc-usdt']",
            "exchanges.binance.symbols = btc-usdt: 'btc-usdt' is not written BASE-QUOTE in capitals, like BTC-USDT",
        ),
        (
            "[log]\nlevel = 'debgu'",
            "log.level = debgu: must be debug, info, warning or error; did you mean debug?",
        ),
        (
            "prefix = 'a/+'",
            "prefix = a/+: must be at most 100 letters, digits and -._ in levels parted by /",
        ),
        ("broker = 3", "broker = 3: must be a section with keys of its own"),
        (
            "[feed]\nping_s = 19",
            "feed: needs ping_s + pong_s within proof_s: else every living line is given up",
        ),
        (
            "[broker",
            "is not TOML: Expected ']' at the end of a table declaration (at end of document)",
        ),
    ],
)
def test_mistake_in_a_file_is_named_with_place_value_and_cure(text: str, told: str, tmp_path: Path) -> None:
    assert mistake(text, at=tmp_path) == [f"tickbridge.toml: {told}"]


def told_of(text: str, folder: Path) -> str:
    """What is wrong with this file; empty: nothing."""
    try:
        load(file(folder, text), (), {})
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", sorted(names()))
def test_no_setting_speaks_the_librarys_words(name: str, tmp_path: Path) -> None:
    section, _, key = name.rpartition(".")
    head = f"[{section}]\n" if section else ""
    wrong = ("'maybe?'", "-1e99", "[[]]", "{ x = [] }", "1979-05-27")
    told = [told_of(f"{head}{key} = {value}\n", tmp_path) for value in wrong]
    assert any(told)
    assert not {"Input", "valid"} & set(" ".join(told).split())


def test_every_mistake_of_every_layer_is_told_at_once(tmp_path: Path) -> None:
    environ = {"TICKBRIDGE_DASHBORD__PORT": "1", "TICKBRIDGE_BROKER": "x", "TICKBRIDGE_LOG__AREAS": "{"}
    lines = mistake("[broker]\nport = -1\n", ["outbox.keep_s=1"], environ, at=tmp_path)
    starts = {line.split(":")[0] for line in lines}
    assert starts == {
        "tickbridge.toml",
        "TICKBRIDGE_DASHBORD__PORT",
        "TICKBRIDGE_BROKER",
        "TICKBRIDGE_LOG__AREAS",
        "command line",
    }


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("broker.password", "broker.password_file or the variable TICKBRIDGE_BROKER__PASSWORD"),
        ("dashboard.password", "dashboard.password_file or the variable TICKBRIDGE_DASHBOARD__PASSWORD"),
        ("influx.token", "influx.token_file or the variable TICKBRIDGE_INFLUX__TOKEN"),
        ("dashboard.mqtt_password", "the variable TICKBRIDGE_DASHBOARD__MQTT_PASSWORD"),
    ],
)
def test_a_secret_has_no_place_in_the_command_line(name: str, cure: str, tmp_path: Path) -> None:
    (told,) = mistake(sets=[f"{name}=hush-hush"], at=tmp_path)
    assert told.startswith(f"command line: {name}: whoever is on this machine can read it")
    assert told.endswith(f": use {cure}")
    assert "hush" not in told
    given([f"{name}="])


def test_no_setting_that_is_secret_is_ever_repeated() -> None:
    def secret(kind: type[Section]) -> set[str]:
        fields = kind.model_fields.items()
        below = [one.annotation for _, one in fields if isinstance(one.annotation, type)]
        own = {name for name, one in fields if not one.repr}
        return own.union(*(secret(one) for one in below if issubclass(one, Section)))

    assert secret(Settings) == set(SECRETS)


def test_option_without_a_value_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"must be written section\.key=value"):
        given(["broker.port"])


def test_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "tickbridge.toml"
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(SettingsError, match=r"is not UTF-8 text \(byte 5\)"):
        load(path, (), {})


def test_wrong_secret_is_never_shown(tmp_path: Path) -> None:
    (line,) = mistake("[broker]\npassword = 31337\n", at=tmp_path)
    assert "31337" not in line


def test_password_comes_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("abc\n")
    assert Broker(password_file=tmp_path / "secret").secret() == "abc"
    assert Broker(password="x").secret() == "x"


def test_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"broker\.password_file = .*/none: No such file"):
        Broker(password_file=tmp_path / "none").secret()


def test_password_and_password_file_together_are_an_error(tmp_path: Path) -> None:
    (line,) = mistake("[broker]\npassword = 'a'\npassword_file = 'b'\n", at=tmp_path)
    assert "keep one of them" in line


def test_secrets_are_not_in_the_representation() -> None:
    settings = Settings(broker=Broker(password="hush"), dashboard=Dashboard(mqtt_password="hush"))
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings)


def test_home_folder_is_found_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert given(["data_dir=~/ticks"]).data_dir == Path("/home/somebody/ticks")


def test_the_outbox_reaches_back_two_of_the_brokers_saves() -> None:
    assert given([]).outbox.keep_s >= 2 * given([]).outbox.autosave_s
    assert given(["outbox.autosave_s=300", "outbox.keep_s=600"]).outbox.autosave_s == 300
    with pytest.raises(SettingsError, match=r"outbox.*keep_s of at least 2 \* autosave_s"):
        given(["outbox.autosave_s=46"])


def test_names_of_docker_images_are_no_settings() -> None:
    load(environ={"TICKBRIDGE_CONFIG": "", "TICKBRIDGE_IMAGE": "a", "TICKBRIDGE_IMAGE_TELEGRAF": "b"})


@pytest.mark.parametrize("url", ["http://user:secret@influx:8086", "http://influx:8086?token=x", "http://influx#x"])
def test_an_address_has_no_place_for_secrets_which_health_would_tell(url: str) -> None:
    with pytest.raises(SettingsError, match="without a path"):
        given([f"influx.url={url}"])


@pytest.mark.parametrize("token", ["two\nlines", "a b", "é", "\x00"])
def test_what_no_header_can_carry_is_no_token_and_is_not_shown(token: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(token)
    for influx, name in (
        (Influx(token_file=path), f"influx.token_file = {path}"),
        (Influx(token=token), "influx.token"),
    ):
        with pytest.raises(SettingsError) as told:
            influx.secret()
        assert str(told.value).startswith(f"{name}: is no token")
        assert token not in str(told.value)
