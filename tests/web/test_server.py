"""Who is admitted, what is served, and how bad messages are answered."""

from __future__ import annotations

import pytest
from starlette.websockets import WebSocketDisconnect

TOKEN = "a-token-for-tests"  # as conftest.py has it


def test_page_comes_with_the_token_only(client):
    refused = client.get("/")
    assert refused.status_code == 403
    assert "the token is missing" in refused.text
    assert client.get("/?token=another").status_code == 403
    page = client.get(f"/?token={TOKEN}")
    assert page.status_code == 200
    assert "audiogen" in page.text


def test_the_page_s_cookie_opens_the_rest(client):
    for path in ("/static/app.js", "/presets/index.json", "/presets/plucked/map"):
        assert client.get(path).status_code == 403
    cookie = client.get(f"/?token={TOKEN}").headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    for path in ("/static/app.js", "/presets/index.json", "/presets/plucked/map"):
        assert client.get(path).status_code == 200
    assert client.get("/static/app.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://testserver:81"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_other_pages_are_refused(client, headers):
    answer = client.get(f"/presets/index.json?token={TOKEN}", headers=headers)
    assert answer.status_code == 403
    assert "may not use" in answer.text
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(f"/socket?token={TOKEN}", headers=headers),
    ):
        pass


def test_its_own_page_is_served(client):
    headers = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert client.get(f"/presets/index.json?token={TOKEN}", headers=headers).status_code == 200
    with client.websocket_connect(f"/socket?token={TOKEN}", headers=headers) as socket:
        assert socket.receive_json()["type"] == "hello"


def test_a_link_on_another_page_may_open_the_page(client):
    headers = {"sec-fetch-site": "cross-site"}
    assert client.get(f"/?token={TOKEN}", headers=headers).status_code == 200


def test_socket_wants_the_token(client):
    for path in ("/socket", "/socket?token=", "/socket?token=another"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
            pass


def test_a_foreign_name_that_points_here_is_refused(make_client):
    client = make_client(hosts={"127.0.0.1", "::1"})
    for host, status in (("127.0.0.1:8317", 200), ("[::1]:8317", 200), ("evil.example", 403)):
        answer = client.get(f"/presets/index.json?token={TOKEN}", headers={"host": host})
        assert answer.status_code == status, host


def test_a_host_that_is_none_is_refused(make_client):
    with make_client(hosts={"testserver"}) as client:
        answer = client.get(f"/presets/index.json?token={TOKEN}", headers={"host": "["})
    assert answer.status_code == 403 and "isn't a name of this server" in answer.text


def test_nothing_may_come_from_elsewhere(client):
    policy = client.get(f"/?token={TOKEN}").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_presets_and_their_previews(client):
    client.get(f"/?token={TOKEN}")
    presets = {preset["name"]: preset for preset in client.get("/presets/index.json").json()}
    assert presets["plucked"]["plays_notes"] and len(presets["plucked"]["timbres"]) == 15
    assert not presets["percussion-sketch"]["plays_notes"]
    assert client.get("/presets/plucked/preview.flac").content.startswith(b"fLaC")
    assert client.get("/presets/plucked/preview.png").content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "path",
    [
        "/presets/plucked/weights.safetensors",
        "/presets/plucked/preset.toml",
        "/presets/nothing/preview.png",
        "/presets/%2e%2e/preview.png",
        "/presets/..%2f..%2fetc/passwd",
        "/presets/nothing/map",
        "/presets/percussion-sketch/map",
        "/presets/percussion-sketch/pictures/0",
        "/presets/plucked/pictures/15",
        "/presets/plucked/pictures/-1",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
    ],
)
def test_no_other_files_are_served(client, path):
    client.get(f"/?token={TOKEN}")
    assert client.get(path).status_code == 404


def test_the_map_has_a_place_and_a_picture_for_each_timbre(client):
    client.get(f"/?token={TOKEN}")
    described = client.get("/presets/plucked/map").json()
    assert len(described["places"]) == 15
    picture = client.get("/presets/plucked/pictures/14").content
    assert len(picture) == described["width"] * described["height"] * 2


def test_no_more_clients_than_said(make_client):
    client = make_client(max_clients=1)
    with client.websocket_connect(f"/socket?token={TOKEN}") as first:
        assert first.receive_json()["type"] == "hello"
        with client.websocket_connect(f"/socket?token={TOKEN}") as second:
            refusal = second.receive_json()
            assert refusal["type"] == "refused"
            assert "--max-clients" in refusal["message"]
            with pytest.raises(WebSocketDisconnect):
                second.receive_json()
    with client.websocket_connect(f"/socket?token={TOKEN}") as third:
        assert third.receive_json()["type"] == "hello"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "must be JSON"),
        ("[]", "type=None"),
        ('{"type": "explode"}', "type='explode' must be one of"),
        ('{"type": "note_on", "pitch": 200, "velocity": 1}', "note_on.pitch=200 must be"),
        ('{"type": "note_on", "pitch": "60", "velocity": 1}', "note_on.pitch='60'"),
        ('{"type": "note_on", "pitch": 60, "velocity": NaN}', "note_on.velocity=nan"),
        ('{"type": "note_on", "pitch": 60}', "note_on.velocity=None"),
        ('{"type": "note_off", "pitch": true}', "note_off.pitch=True"),
        ('{"type": "note_off", "pitch": 60, "loud": 1}', "field 'loud' is not supported"),
        ('{"type": "set", "parameter": "volume", "value": [1]}', "set.value=[1]"),
        ('{"type": "start", "lead_ms": 1e9}', "start.lead_ms"),
        ('{"type": "preset", "preset": "../etc"}', "preset '../etc' not found"),
        ('{"type": "log", "x": "' + "x" * 5000 + '"}', "characters"),
        ("[" * 3000, "must be JSON"),
        ('{"type": "note_off", "pitch": 1' + "0" * 400 + "}", "note_off.pitch=1000"),
        ('{"type": "timbre", "timbre": "/etc/secret.json"}', "not a file"),
        ('{"type": "timbre", "timbre": "x.JSON:0.5+harp"}', "not a file"),
        ('{"type": "set", "parameter": "morph_timbre", "value": "x.json"}', "not a file"),
        ('{"type": "midi", "data": []}', "midi.data must be"),
        ('{"type": "midi", "data": [256]}', "midi.data must be"),
        ('{"type": "midi", "data": [true]}', "midi.data must be"),
        ('{"type": "midi", "data": [' + "0," * 512 + "0]}", "1 to 512"),
        (b'{"type": "log"}', "isn't a MIDI file"),
    ],
)
def test_a_wrong_message_is_answered_and_the_connection_stays(client, listen, text, said):
    with listen(client, start=False) as listener:
        send = (
            listener._socket.send_bytes if isinstance(text, bytes) else listener._socket.send_text
        )
        send(text)
        assert said in listener.wait_for("error")["message"]
        assert listener.log()[0]["preset"] == "plucked"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"type": "note_on", "pitch": 60, "velocity": 1, "timbre": "kazoo"}, "kazoo"),
        ({"type": "set", "parameter": "warmth", "value": 1}, "warmth"),
        ({"type": "set", "parameter": "volume", "value": 7}, "volume=7"),
        ({"type": "timbre", "timbre": "kazoo"}, "kazoo"),
        ({"type": "timbre", "timbre": "harp:0+koto"}, "weight"),
    ],
)
def test_an_event_that_the_synth_refuses_is_answered_and_not_logged(client, listen, message, said):
    with listen(client) as listener:
        listener.say(**message)
        assert said in listener.wait_for("error")["message"]
        assert [event["type"] for event in listener.log()] == ["preset"]


def test_the_number_of_waiting_events_is_limited(client, listen):
    with listen(client, start=False) as listener:
        for _ in range(4097):
            listener.say(type="note_off", pitch=60)
        assert "4096 events wait" in listener.wait_for("error")["message"]


def test_a_preset_from_anywhere_can_be_first(make_client, listen, tmp_path, write_tiny):
    client = make_client(str(write_tiny(tmp_path / "mine")))
    client.get(f"/?token={TOKEN}")
    assert {"mine", "plucked"} <= {
        preset["name"] for preset in client.get("/presets/index.json").json()
    }
    assert len(client.get("/presets/mine/map").json()["places"]) == 3
    with listen(client, start=False) as listener:
        assert listener.messages[-1]["preset"] == "mine"
        listener.say(type="preset", preset="plucked")
        assert listener.wait_for("preset")["preset"] == "plucked"


def test_a_preset_that_has_gone_is_a_refusal(make_client, tmp_path, write_tiny):
    folder = write_tiny(tmp_path / "mine")
    client = make_client(str(folder))
    (folder / "weights.safetensors").unlink()
    with client.websocket_connect(f"/socket?token={TOKEN}") as socket:
        refusal = socket.receive_json()
    assert refusal["type"] == "refused"
    assert "weights.safetensors" in refusal["message"]
