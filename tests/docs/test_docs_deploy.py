"""The samples in deploy/: what they promise, and that the programs they are for accept them if installed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ils_payment.config import Server
from ils_payment.web import security, webhooks

DEPLOY = Path(__file__).parents[2] / "deploy"
EVERYWHERE = f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"
PORT = Server.model_fields["port"].default
JOBS = ("reconcile", "backup", "verify", "export")
DROP_IN = (DEPLOY / "ils-payment-credentials.conf").read_text(encoding="utf-8")
APACHE_MODULES = Path("/usr/lib/apache2/modules")


def sample(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def unit_settings(name: str = "ils-payment.service") -> dict[str, list[str]]:
    """The unit's keys with all their values; systemd lets a key stand several times."""
    found: dict[str, list[str]] = {}
    for line in sample(name).replace("\\\n", "").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def installed(program: str) -> str | None:
    return shutil.which(program, path=EVERYWHERE)


def run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def with_certificate(text: str, folder: Path) -> str:
    """Put a certificate of our own in place of the one that the sample names."""
    key, chain = folder / "privkey.pem", folder / "fullchain.pem"
    name = ["-subj", "/CN=pay.library.example", "-days", "2"]
    run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        f"{key}",
        "-out",
        f"{chain}",
        *name,
    )
    for file in (key, chain):
        named = f"/etc/letsencrypt/live/pay.library.example/{file.name}"
        assert named in text
        text = text.replace(named, str(file))
    return text


# --- systemd -------------------------------------------------------------------------------------


def test_the_unit_runs_serve_as_a_user_of_its_own_and_comes_back_after_a_fault() -> None:
    unit = unit_settings()
    assert unit["ExecStart"] == ["/opt/ils-payment/bin/ils-payment serve"]
    assert unit["User"] == unit["Group"] == ["ils-payment"]
    assert unit["Restart"] == ["on-failure"]
    assert sample("ils-payment.sysusers").splitlines()[-1].startswith("u ils-payment ")


def test_the_ledger_lies_where_the_unit_may_write_and_nowhere_else() -> None:
    unit = unit_settings()
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["StateDirectory"] == ["ils-payment"]
    assert "ReadWritePaths" not in unit
    assert Server.model_fields["database"].default == "sqlite:////var/lib/ils-payment/ledger.db"


def test_the_unit_gives_up_every_right_it_does_not_need() -> None:
    unit = unit_settings()
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == [""]
    for key in (
        "NoNewPrivileges",
        "PrivateUsers",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectHome",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "LockPersonality",
        "MemoryDenyWriteExecute",
    ):
        assert unit[key] == ["yes"], key
    assert unit["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_systemd_finds_nothing_to_complain_of_in_the_unit(tmp_path: Path) -> None:
    analyze = installed("systemd-analyze")
    if analyze is None:
        # Without systemd the form alone can be looked at: sections, and a key in every other line.
        lines = [line for line in sample("ils-payment.service").splitlines() if line and line[0] != "#"]
        assert [line for line in lines if line[0] == "["] == ["[Unit]", "[Service]", "[Install]"]
        assert all(re.fullmatch(r"[A-Z][A-Za-z]+=.*", line) for line in lines if line[0] != "[")
        return
    unit = tmp_path / "ils-payment.service"
    text = sample("ils-payment.service").replace("/opt/ils-payment/bin/ils-payment", sys.executable)
    unit.write_text(text, encoding="utf-8")
    run(analyze, "verify", "--recursive-errors=no", str(unit))
    # Tenths of the exposure level: everything below 2.0 is "OK".
    run(analyze, "security", "--offline=true", "--threshold=20", str(unit))


@pytest.mark.parametrize("job", JOBS)
def test_what_a_timer_starts_is_shut_in_as_the_service_is(job: str) -> None:
    unit, service = unit_settings(f"ils-payment-{job}.service"), unit_settings()
    assert unit["Type"] == ["oneshot"]
    for key in (
        "User",
        "Group",
        "EnvironmentFile",
        "ProtectSystem",
        "ProtectHome",
        "NoNewPrivileges",
        "UMask",
    ):
        assert unit[key] == service[key], key
    assert unit["StateDirectory"][0].split()[0] == service["StateDirectory"][0]


@pytest.mark.parametrize("job", JOBS)
def test_systemd_finds_nothing_to_complain_of_in_a_timer_and_its_unit(job: str, tmp_path: Path) -> None:
    calendar = unit_settings(f"ils-payment-{job}.timer")["OnCalendar"]
    assert len(calendar) == 1
    analyze = installed("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here: units and timers were not looked at by systemd")
    run(analyze, "calendar", *calendar)
    for kind in ("service", "timer"):
        text = sample(f"ils-payment-{job}.{kind}").replace("/opt/ils-payment/bin/ils-payment", sys.executable)
        (tmp_path / f"ils-payment-{job}.{kind}").write_text(text, encoding="utf-8")
    told = run(analyze, "verify", "--recursive-errors=no", str(tmp_path / f"ils-payment-{job}.timer"))
    assert f"ils-payment-{job}" not in told, told


def typed_by(job: str, folder: Path, day: str) -> list[list[str]]:
    """Run the lines of a unit as systemd hands them to the shell, on a given day; return what was typed."""
    (folder / "bin").mkdir()
    # A date that takes the given day for today, and a program that says what it was given.
    date = shutil.which("date")
    today = f'case "$1" in -d) exec {date} "$@";; *) exec {date} -d {day} "$@";; esac'
    for name, script in (("date", today), ("ils-payment", 'printf "%s\\n" "$@"')):
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    unit = unit_settings(f"ils-payment-{job}.service")
    environment = dict(one.split("=") for one in unit.get("Environment", []))
    typed = []
    for line in unit["ExecStart"]:
        text = line.replace("/opt/ils-payment/bin/ils-payment", str(folder / "bin" / "ils-payment"))
        words = shlex.split(text.replace("%%", "%").replace("$$", "$"))
        done = subprocess.run(
            words,
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": f"{folder}/bin:{EVERYWHERE}", **environment},
        )
        typed.append(done.stdout.splitlines())
    return typed


def test_the_nightly_backup_has_its_time_in_its_name_and_a_folder_that_it_may_write(tmp_path: Path) -> None:
    [typed] = typed_by("backup", tmp_path, "2026-11-21T03:20:05")
    folder = "/var/backups/ils-payment"
    assert typed == ["backup", f"{folder}/nightly-2026-11-21T032005.backup"]
    assert unit_settings("ils-payment-backup.service")["ReadWritePaths"] == [folder]
    readme = (DEPLOY.parent / "README.md").read_text(encoding="utf-8")
    assert f"install -d -m 700 -o ils-payment -g ils-payment {folder}\n" in readme


def test_old_nightly_backups_go_and_those_made_by_hand_stay(tmp_path: Path) -> None:
    for name in (
        "nightly-2026-10-01T032000.backup",
        "nightly-2026-11-21T032000.backup",
        "before-upgrade.backup",
    ):
        (tmp_path / name).touch()
    for name in ("nightly-2026-10-01T032000.backup", "before-upgrade.backup"):
        os.utime(tmp_path / name, (0, 0))
    [line] = unit_settings("ils-payment-backup.service")["ExecStartPost"]
    run(*line.replace("/var/backups/ils-payment", str(tmp_path)).split())
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "before-upgrade.backup",
        "nightly-2026-11-21T032000.backup",
    ]


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [("2027-01-02", "2026-12-01", "2026-12-31"), ("2028-03-02", "2028-02-01", "2028-02-29")],
)
def test_the_monthly_export_has_the_whole_month_before(
    day: str, first: str, last: str, tmp_path: Path
) -> None:
    [typed] = typed_by("export", tmp_path, day)
    file = f"/var/lib/ils-payment/exports/main-{first[:7]}.csv"
    assert typed == ["export", "--library", "main", "--from", first, "--to", last, "--output", file]
    assert unit_settings("ils-payment-export.service")["StateDirectory"] == [
        "ils-payment ils-payment/exports"
    ]


def test_every_unit_and_timer_is_installed_and_installed_again_at_an_upgrade() -> None:
    readme = (DEPLOY.parent / "README.md").read_text(encoding="utf-8")
    _, install, upgrade = re.split(r"(?m)^### 2\. |^## Upgrade", readme)
    files = [one.name for one in DEPLOY.iterdir() if one.suffix in {".service", ".timer"} or not one.suffix]
    assert len(files) == 2 + 2 * len(JOBS)
    for name in files:
        assert f"deploy/{name} " in install, name
        assert f"deploy/{name} " in upgrade, name


def test_commands_by_hand_run_with_the_user_and_the_secrets_of_the_unit() -> None:
    wrapper, unit = sample("ils-payment"), unit_settings()
    assert f"--uid={unit['User'][0]}" in wrapper
    assert f"EnvironmentFile={unit['EnvironmentFile'][0]}" in wrapper
    assert f'{unit["ExecStart"][0].split()[0]} "$@"' in wrapper
    assert os.access(DEPLOY / "ils-payment", os.X_OK)
    run("sh", "-n", str(DEPLOY / "ils-payment"))


@pytest.fixture
def called(tmp_path: Path) -> Callable[..., list[str]]:
    """Call the script with a systemd-run that says what it was given; credentials lie in a folder of ours."""
    (tmp_path / "bin").mkdir()
    echo = tmp_path / "bin" / "systemd-run"
    echo.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    echo.chmod(0o755)
    script = tmp_path / "script"
    text = sample("ils-payment").replace("/etc/ils-payment/credentials", str(tmp_path / "credentials"))
    script.write_text(text, encoding="utf-8")

    def call(*arguments: str) -> list[str]:
        environment = {"PATH": f"{tmp_path}/bin:{EVERYWHERE}", "SUDO_USER": "anna"}
        done = subprocess.run(
            ["/bin/sh", str(script), *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        return done.stdout.splitlines()

    return call


def test_commands_by_hand_get_every_credential_and_keep_their_own_words(
    tmp_path: Path, called: Callable[..., list[str]]
) -> None:
    words = ["refunds", "ask", "ILSP-7K3M9Q-4", "--reason", "paid twice, at the desk"]
    program = "/opt/ils-payment/bin/ils-payment"
    without = called(*words)
    assert without[-len(words) - 1 :] == [program, *words]
    assert not any("LoadCredential" in word for word in without)
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name in ("koha-secret", "stripe-key"):
        (folder / name).touch()
    with_them = called(*words)
    assert [word for word in with_them if word not in without] == [
        f"--property=LoadCredential={name}:{folder}/{name}" for name in ("stripe-key", "koha-secret")
    ]
    assert with_them[-len(words) - 1 :] == [program, *words]


def test_a_folder_that_the_user_of_the_service_may_not_enter_stops_no_command(
    tmp_path: Path, called: Callable[..., list[str]]
) -> None:
    given = called("check")
    assert f"--property=WorkingDirectory=-{tmp_path}" in given
    assert not any(word.startswith("--working-directory") for word in given)


def test_the_credentials_that_the_pages_name_are_in_the_sample_for_all_units() -> None:
    named = set(re.findall(r"LoadCredential=([a-z-]+):/etc/ils-payment/credentials/\1\n", DROP_IN))
    assert len(named) == DROP_IN.count("LoadCredential=")
    root = DEPLOY.parent
    for page in (root / "README.md", *(root / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert "/run/credentials" not in text, page.name
        assert set(re.findall(r'credential = "([a-z-]+)"', text)) <= named, page.name
    readme = (root / "README.md").read_text(encoding="utf-8")
    # The second folder counts for every unit whose name begins so, those of the timers among them.
    for folder in ("ils-payment.service.d", "ils-payment-.service.d"):
        assert f" /etc/systemd/system/{folder}/credentials.conf\n" in readme


# --- nginx and Apache ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nginx.conf", "apache.conf"])
def test_a_sample_passes_on_to_the_programs_port_on_this_host(name: str) -> None:
    targets = re.findall(r"http://127\.0\.0\.1:(\d+)", sample(name))
    assert targets
    assert set(targets) == {str(PORT)}


@pytest.mark.parametrize("name", ["nginx.conf", "apache.conf"])
def test_no_query_reaches_the_web_servers_log(name: str) -> None:
    text = sample(name)
    logged = [line for line in text.splitlines() if re.match(r"\s*(log_format|LogFormat) ", line)]
    assert len(logged) == 1
    assert not re.search(r"\$request\b|\$request_uri|\$args|%r|%q|Referer|referer", logged[0])
    # Each host logs in that form, the one for plain http too.
    assert len(re.findall(r"(?:access_log|CustomLog) \S+ ils_payment", text)) == 2


def test_no_query_reaches_the_log_of_errors_of_nginx() -> None:
    """Its form cannot be chosen: what goes wrong with a request is logged with its whole address."""
    assert re.findall(r"error_log \S+ (\w+);", sample("nginx.conf")) == ["crit", "crit"]


def test_nginx_forwards_one_host_and_one_address_and_believes_no_visitor() -> None:
    text = sample("nginx.conf")
    assert "proxy_set_header Host $host;" in text
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in text
    assert 'proxy_set_header Forwarded "";' in text
    assert "proxy_next_upstream off;" in text


def test_nginx_takes_bodies_as_large_as_the_program_does() -> None:
    text = sample("nginx.conf")
    webhook = text[text.index("location /webhooks/") :].partition("}")[0]
    assert f"client_max_body_size {webhooks.MAX_BODY // 1024}k;" in webhook
    assert f"    client_max_body_size {security.MAX_BODY // 1024}k;" in text.partition("location")[0]


def test_apache_forwards_one_host_and_one_address_and_believes_no_visitor() -> None:
    text = sample("apache.conf")
    assert "ProxyPreserveHost On" in text
    assert "ProxyRequests Off" in text
    for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host"):
        assert f"RequestHeader unset {header} early" in text
    assert 'RequestHeader set X-Forwarded-Proto "https"' in text


def test_apache_takes_bodies_as_large_as_the_program_does() -> None:
    limits = re.findall(r'<Location "([^"]+)">\s+LimitRequestBody (\d+)', sample("apache.conf"))
    assert limits == [("/", str(security.MAX_BODY)), ("/webhooks/", str(webhooks.MAX_BODY))]


@pytest.mark.parametrize("name", ["nginx.conf", "apache.conf"])
def test_the_metrics_are_not_for_the_world(name: str) -> None:
    assert re.search(r"/metrics\W+(return 404;|Require all denied)", sample(name))


def test_nginx_accepts_its_sample(tmp_path: Path) -> None:
    text = sample("nginx.conf")
    nginx = installed("nginx")
    if nginx is None:
        # Without nginx the form alone can be looked at: every statement ends, every block is closed.
        bare = [line.partition("#")[0].strip() for line in text.splitlines()]
        assert all(line.endswith((";", "{", "}")) for line in bare if line)
        assert text.count("{") == text.count("}")
        return
    site = tmp_path / "site.conf"
    text = with_certificate(text, tmp_path).replace("/var/log/nginx", str(tmp_path))
    site.write_text(text, encoding="utf-8")
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off; include {site}; }}\n",
        encoding="utf-8",
    )
    run(nginx, "-t", "-q", "-p", str(tmp_path), "-e", f"{tmp_path}/early.log", "-c", str(whole))


def test_apache_accepts_its_sample(tmp_path: Path) -> None:
    text = sample("apache.conf")
    apache = installed("apache2")
    if apache is None or not APACHE_MODULES.is_dir():
        # Without Apache the form alone can be looked at: every section is closed in order.
        sections = re.findall(r"^\s*<(/?)(\w+)", text, re.MULTILINE)
        opened: list[str] = []
        for closing, name in sections:
            if closing:
                assert opened.pop() == name
            else:
                opened.append(name)
        assert not opened
        return
    modules = ("mpm_event", "authz_core", "alias", "socache_shmcb", "ssl", "proxy", "proxy_http", "headers")
    loaded = "".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n" for name in modules)
    whole = tmp_path / "apache.conf"
    text = with_certificate(text, tmp_path)
    text = text.replace("/var/log/apache2/ils-payment.log", f"{tmp_path}/access.log")
    whole.write_text(
        f"ServerRoot {tmp_path}\nServerName localhost\nPidFile {tmp_path}/pid\nDefaultRuntimeDir {tmp_path}\n"
        f"ErrorLog {tmp_path}/error.log\n{loaded}{text}",
        encoding="utf-8",
    )
    run(apache, "-t", "-f", str(whole))
