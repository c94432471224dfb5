"""Key files: what is written is read back, by other tools too; everything else is refused in one line."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from hypothesis import example, given
from hypothesis import strategies as st
from nacl.pwhash import argon2id

from delego_ledger import sealed
from delego_ledger.errors import AlreadyExists, KeyFileError, StorageError, WrongPassphrase
from delego_ledger.keyfiles import (
    generate_key,
    is_encrypted,
    load_public_key,
    load_public_keys,
    load_signer,
    public_pem,
    write_public_key,
)
from delego_ledger.sealed import Cost
from delego_spec.ed25519 import PublicKey, SeedSigner

SEED = bytes(range(32))
PUBLIC = SeedSigner(SEED).public_key
PASS = b"correct horse"
CHEAP = Cost(passes=1, memory=8192)
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and signals")


def private(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


def pem(label: str, body: str | bytes) -> str:
    text = body if isinstance(body, str) else base64.encodebytes(body).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"


def pkcs8(key: object, password: bytes | None = None) -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    assert isinstance(
        key,
        ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey,
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


OURS = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
PLAIN = pkcs8(OURS).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "k.pem"


def refused(path: Path, passphrase: bytes | None = PASS) -> str:
    with pytest.raises(KeyFileError) as caught:
        load_signer(path, passphrase=passphrase)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what this program writes ---


@posix_only
def test_a_new_key_is_standard_pkcs8_and_private(path: Path) -> None:
    signer = generate_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    standard = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(standard, ed25519.Ed25519PrivateKey)
    assert standard.public_key().public_bytes_raw() == signer.public_key.raw
    assert load_signer(path).public_key == signer.public_key


def test_two_new_keys_differ(tmp_path: Path) -> None:
    one, two = generate_key(tmp_path / "1"), generate_key(tmp_path / "2")
    assert one.public_key != two.public_key


def test_a_seed_gives_the_bytes_that_other_tools_write(path: Path) -> None:
    assert generate_key(path, seed=SEED).public_key == PUBLIC
    assert path.read_text() == PLAIN


def test_a_loaded_key_signs_like_the_one_that_was_made(path: Path) -> None:
    made = generate_key(path)
    assert load_signer(path).sign(b"x") == made.sign(b"x")


def test_a_key_is_never_written_over_another(path: Path) -> None:
    first = generate_key(path)
    with pytest.raises(AlreadyExists):
        generate_key(path)
    assert load_signer(path).public_key == first.public_key


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), "0" * 32])
def test_a_seed_of_another_length_is_misuse(path: Path, seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        generate_key(path, seed=seed)
    assert not path.exists()


@pytest.mark.parametrize("passphrase", [b"", "text"])
def test_an_empty_passphrase_is_misuse(path: Path, passphrase: bytes) -> None:
    with pytest.raises(ValueError, match="passphrase"):
        generate_key(path, passphrase=passphrase)
    assert not path.exists()


@posix_only
def test_a_kill_before_the_key_has_its_name_leaves_no_key_under_it(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    program = (
        "import os, signal, sys\n"
        "from delego_ledger import files, keyfiles\n"
        "files.place_file = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "keyfiles.generate_key(sys.argv[1])\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert load_public_keys(tmp_path) == {}, "the leftover is not taken for anybody's key"
    generate_key(path, seed=SEED)
    assert load_public_keys(tmp_path) == {"k": PUBLIC}


# --- under a passphrase ---


def sealed_key(path: Path, passphrase: bytes = PASS) -> str:
    generate_key(path, seed=SEED, passphrase=passphrase, _cost=CHEAP)
    return path.read_text()


def test_a_key_under_a_passphrase_opens_with_it_and_only_with_it(path: Path) -> None:
    text = sealed_key(path)
    assert text.startswith("-----BEGIN DELEGO ENCRYPTED PRIVATE KEY-----\nversion: 1\nkdf: argon2id ")
    assert load_signer(path, passphrase=PASS).public_key == PUBLIC
    assert load_signer(path, passphrase=lambda: PASS).public_key == PUBLIC
    with pytest.raises(WrongPassphrase, match=f"^wrong passphrase for {re.escape(repr(str(path)))}$"):
        load_signer(path, passphrase=b"guess")
    assert "none was given" in refused(path, None)


def test_the_cost_that_is_written_by_default_is_the_moderate_one_of_libsodium() -> None:
    assert Cost(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE) == sealed.MODERATE


def test_two_files_of_one_key_share_neither_salt_nor_nonce_nor_box(tmp_path: Path) -> None:
    one, two = sealed_key(tmp_path / "1").split("\n"), sealed_key(tmp_path / "2").split("\n")
    assert [a == b for a, b in zip(one[3:7], two[3:7], strict=True)] == [False, False, True, False]


def test_the_secret_is_not_in_the_file_in_the_clear(path: Path) -> None:
    text = sealed_key(path)
    blob = base64.b64decode("".join(text.split("\n\n")[1].split("\n")[:-2]))
    assert SEED not in blob


def test_windows_line_ends_do_not_matter(path: Path) -> None:
    private(path, sealed_key(path).replace("\n", "\r\n"))
    assert load_signer(path, passphrase=PASS).public_key == PUBLIC


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("version: 1", "version: 01"),
        ("version: 1\n", ""),
        ("argon2id", "argon2i"),
        ("passes=1", "passes=0"),
        ("passes=1", "passes=01"),
        ("passes=1", "passes=17"),
        ("memory=8192", "memory=8191"),
        ("memory=8192", f"memory={2 * 1024**3}"),
        ("memory=8192", "memory=9999999999999"),
        ("salt: ", "salt:"),
        ("salt: ", "salt: 00"),
        ("nonce: ", "nonce: 00"),
        ("nonce: ", "comment: x\nnonce: "),
        ("\n\n", "\n"),
        ("\n\n", "\n\n\n"),
    ],
)
def test_a_block_in_any_other_spelling_is_refused_before_the_passphrase_is_asked(
    path: Path, old: str, new: str
) -> None:
    text = sealed_key(path)
    assert old in text
    private(path, text.replace(old, new, 1))

    def never() -> bytes:
        raise AssertionError("asked for the passphrase of a file that cannot be opened")

    with pytest.raises(KeyFileError) as caught:
        load_signer(path, passphrase=never)
    assert not isinstance(caught.value, WrongPassphrase)


def test_every_flipped_character_of_a_block_is_noticed(path: Path) -> None:
    text = sealed_key(path)
    for at in range(len(text) - 1):
        flipped = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(KeyFileError):
            load_signer(private(path, flipped), passphrase=PASS)


def test_a_block_whose_secret_is_no_key_is_refused(path: Path) -> None:
    block = sealed.seal(b"not a key", PASS, salt=bytes(16), nonce=bytes(24), cost=CHEAP)
    private(path, pem("DELEGO ENCRYPTED PRIVATE KEY", block.body() + "\n"))
    assert "its contents are damaged" in refused(path)


def test_too_little_memory_is_said_and_not_a_wrong_passphrase(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed_key(path)

    def none_left(*_: object, **__: object) -> bytes:
        raise argon2id_failure()

    monkeypatch.setattr(sealed.argon2id, "kdf", none_left)
    assert "needs 0 MiB of memory" in refused(path)
    with pytest.raises(StorageError, match="memory"):
        generate_key(path.with_name("new"), passphrase=PASS)
    assert not path.with_name("new").exists()


def argon2id_failure() -> Exception:
    from nacl import exceptions

    return exceptions.RuntimeError("Unexpected failure in key derivation")


# --- encrypted by other tools ---


def test_a_key_that_another_tool_encrypted_is_read(path: Path) -> None:
    private(path, pkcs8(OURS, PASS))
    assert load_signer(path, passphrase=PASS).public_key == PUBLIC
    assert refused(path, b"guess").startswith("wrong passphrase for ")
    assert refused(path, b"").startswith("wrong passphrase for ")
    assert "none was given" in refused(path, None)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    "how", [["-v2", "aes-256-cbc"], ["-scrypt"], ["-v2", "aes256", "-v2prf", "hmacWithSHA512"]]
)
def test_what_openssl_encrypts_is_read(path: Path, how: list[str]) -> None:
    plain = path.with_name("plain")
    generate_key(plain, seed=SEED)
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", plain, "-out", path, "-passout", "pass:correct horse", *how],
        check=True,
        capture_output=True,
    )
    path.chmod(0o600)
    assert load_signer(path, passphrase=PASS).public_key == PUBLIC


def der(tag: int, *parts: bytes) -> bytes:
    inside = b"".join(parts)
    size = len(inside)
    assert size < 256
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x81, size])) + inside


def contents(text: str) -> bytes:
    return base64.b64decode("".join(text.split("\n")[1:-2]))


def oid(text: str) -> bytes:
    return der(6, bytes.fromhex(text))


def number(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def encrypted(
    kdf: str, *numbers: int, scheme: str = "2a864886f70d01050d", cipher: str = "60864801650304012a"
) -> str:
    stretching = der(0x30, oid(kdf), der(0x30, der(4, bytes(8)), *map(number, numbers)))
    how = der(0x30, oid(scheme), der(0x30, stretching, der(0x30, oid(cipher), der(4, bytes(16)))))
    return pem("ENCRYPTED PRIVATE KEY", der(0x30, how, der(4, bytes(64))))


PBKDF2 = "2a864886f70d01050c"
SCRYPT = "2b06010401da47040b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (encrypted(PBKDF2, 10_000_001), "more work"),
        (encrypted(PBKDF2, 2**200), "more work"),
        (encrypted(PBKDF2, 0), "more work"),
        (encrypted(PBKDF2, -1), "more work"),
        (encrypted(SCRYPT, 2**40, 8, 1), "more work"),
        (encrypted(SCRYPT, 2**14, 2**30, 1), "more work"),
        (encrypted(SCRYPT, 2**14, 8, 2**30), "more work"),
        (encrypted(SCRYPT, 2**14, -8, 1), "more work"),
        (encrypted("2a0304", 1), "key derivation is not supported"),
        (encrypted(PBKDF2, 2048, scheme="2a864886f70d010c0103"), "PBES2 is wanted"),
        (encrypted(PBKDF2, 2048, cipher="2a0304"), "its encryption is not supported"),
        (pem("ENCRYPTED PRIVATE KEY", b"\x30\x03\x02\x01\x01"), "damaged"),
        (pem("ENCRYPTED PRIVATE KEY", b"\x30\x84\x7f\xff\xff\xff\x00"), "damaged"),
        (pem("ENCRYPTED PRIVATE KEY", b"\x30\x80\x00\x00"), "damaged"),
        (pem("ENCRYPTED PRIVATE KEY", b"\x30"), "damaged"),
        (pem("ENCRYPTED PRIVATE KEY", contents(encrypted(PBKDF2, 2048)) + b"\0"), "damaged"),
        (pem("ENCRYPTED PRIVATE KEY", der(0x30, contents(encrypted(PBKDF2, 2048))[3:], b"\5\0")), "damaged"),
    ],
)
def test_an_encrypted_file_that_asks_for_too_much_or_is_broken_is_refused_at_once(
    path: Path, text: str, problem: str
) -> None:
    private(path, text)
    message = refused(path)
    assert problem in message
    assert "wrong passphrase" not in message


@pytest.mark.parametrize("numbers", [(2048,), (2048, 32)])
def test_the_bounds_let_ordinary_files_through(path: Path, numbers: tuple[int, ...]) -> None:
    private(path, encrypted(PBKDF2, *numbers))
    assert "wrong passphrase" in refused(path)


# --- everything else ---


def test_a_passphrase_that_is_not_needed_is_not_asked_for(path: Path) -> None:
    private(path, PLAIN)

    def never() -> bytes:
        raise AssertionError

    assert load_signer(path, passphrase=never).public_key == PUBLIC
    assert load_signer(path, passphrase=b"unused").public_key == PUBLIC


def test_what_the_asker_raises_passes_through(path: Path) -> None:
    sealed_key(path)

    def cancelled() -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_signer(path, passphrase=cancelled)


def test_a_passphrase_of_another_type_is_misuse(path: Path) -> None:
    sealed_key(path)
    with pytest.raises(TypeError, match="bytes"):
        load_signer(path, passphrase=lambda: "text")  # type: ignore[arg-type,return-value]  # the misuse under test


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
@pytest.mark.parametrize("under_passphrase", [False, True])
def test_a_private_key_that_others_can_get_at_is_refused_with_the_command_that_helps(
    path: Path, mode: int, under_passphrase: bool
) -> None:
    if under_passphrase:
        sealed_key(path)
    else:
        private(path, PLAIN)
    path.chmod(mode)
    message = refused(path)
    assert message.endswith(f"(mode {mode:04o}); run: chmod 600 {path}")
    path.chmod(0o400)
    assert load_signer(path, passphrase=PASS).public_key == PUBLIC


@posix_only
def test_a_path_with_a_newline_still_gives_one_line(tmp_path: Path) -> None:
    path = private(tmp_path / "a\nb", PLAIN)
    path.chmod(0o644)
    assert "chmod 600" in refused(path)


RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not begin with a PEM line"),
        ("hello\n", "does not begin with a PEM line"),
        ("\n" + PLAIN, "does not begin with a PEM line"),
        ("Bag Attributes\n" + PLAIN, "does not begin with a PEM line"),
        (PLAIN + "junk", "text after the end"),
        (PLAIN.rstrip("\n") + " \n", "text after the end"),
        (PLAIN + PLAIN, "more than one block"),
        (PLAIN + public_pem(PUBLIC), "more than one block"),
        (PLAIN[:60], "cut off"),
        (PLAIN.replace("END PRIVATE", "END PUBLIC"), "cut off"),
        (PLAIN.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY"), "'OPENSSH PRIVATE KEY'"),
        (PLAIN.replace("PRIVATE KEY", "RSA PRIVATE KEY"), "'PRIVATE KEY' (PKCS#8)"),
        (PLAIN.replace("PRIVATE KEY", "CERTIFICATE"), "'CERTIFICATE'"),
        (public_pem(PUBLIC), "it holds a public key"),
        (PUBLIC.hex + "\n", "it holds a public key"),
        (pkcs8(RSA).decode(), "an RSA key"),
        (pkcs8(RSA, PASS).decode(), "another kind of key"),
        (pkcs8(ec.generate_private_key(ec.SECP256R1())).decode(), "an elliptic curve (ECDSA) key"),
        (pkcs8(x25519.X25519PrivateKey.generate()).decode(), "an X25519 key"),
        (PLAIN.replace("M", "!", 1), "base64 is damaged"),
        (pem("PRIVATE KEY", "AAAAA\n"), "base64 is damaged"),
        (pem("PRIVATE KEY", "\n"), "base64 is damaged"),
        (pem("PRIVATE KEY", bytes.fromhex("302e020100300506032b6570042204200001")), "damaged"),
        (pem("PRIVATE KEY", der(0x30, number(0), der(0x30, oid("2b6570")), der(4, bytes(7)))), "damaged"),
        (pem("PRIVATE KEY", contents(PLAIN) + b"\0"), "damaged"),
        (b"\xff\xfe", "not a PEM file"),
        (b"\xef\xbb\xbf" + PLAIN.encode(), "not a PEM file"),
        ("A" * 20_000, "larger than"),
    ],
)
def test_anything_but_one_private_ed25519_key_is_refused_in_one_plain_line(
    path: Path, text: str | bytes, problem: str
) -> None:
    assert problem in refused(private(path, text))


def test_a_base64_with_stray_bits_is_refused(path: Path) -> None:
    body = base64.b64encode(bytes(46)).decode()
    assert body.endswith("AA==")
    private(path, pem("PRIVATE KEY", body[:-3] + "B==\n"))
    assert "its base64 is damaged" in refused(path)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "missing")
    assert "directory" in refused(tmp_path)
    with pytest.raises(KeyFileError, match="null"):
        load_public_key("a\0b")


SNIPPETS = st.sampled_from(
    [
        PLAIN,
        public_pem(PUBLIC),
        PUBLIC.hex,
        pkcs8(OURS, PASS).decode(),
        "-----BEGIN PRIVATE KEY-----\n",
        "\n",
        "MC4C",
    ]
).map(str.encode)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.one_of(SNIPPETS, st.binary(max_size=20)), max_size=4).map(b"".join),
    )
)
@example(b"")
def test_random_bytes_give_a_key_or_a_key_file_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = private(tmp_path_factory.getbasetemp() / f"random-key-{os.getpid()}", data)
    for load in (
        lambda: load_signer(path, passphrase=PASS),
        lambda: load_public_key(path),
        lambda: is_encrypted(path),
    ):
        try:
            load()
        except KeyFileError as error:
            assert "\n" not in str(error)  # noqa: PT017 - any other exception is the failure


@given(st.sampled_from(["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PUBLIC KEY"]), st.data())
def test_damaged_contents_give_a_key_or_a_key_file_error(
    tmp_path_factory: pytest.TempPathFactory, label: str, data: st.DataObject
) -> None:
    whole = {"PRIVATE KEY": PLAIN, "ENCRYPTED PRIVATE KEY": ENCRYPTED, "PUBLIC KEY": public_pem(PUBLIC)}[
        label
    ]
    changed = bytearray(contents(whole))
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path = private(tmp_path_factory.getbasetemp() / f"damaged-key-{os.getpid()}", pem(label, bytes(changed)))
    for load in (lambda: load_signer(path, passphrase=PASS), lambda: load_public_key(path)):
        try:
            load()
        except KeyFileError as error:
            assert "\n" not in str(error)  # noqa: PT017 - any other exception is the failure


ENCRYPTED = pkcs8(OURS, PASS).decode()


# --- public keys ---


@posix_only
def test_a_public_key_comes_back_and_is_readable_by_all(path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_public_key(path, PUBLIC)
    finally:
        os.umask(old)
    assert load_public_key(path) == PUBLIC
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with pytest.raises(AlreadyExists):
        write_public_key(path, PUBLIC)


def test_public_pem_is_what_other_tools_write() -> None:
    assert public_pem(PUBLIC).encode() == OURS.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    "text", [PUBLIC.hex, PUBLIC.hex + "\n", PUBLIC.hex + "\r\n", public_pem(PUBLIC), PLAIN]
)
def test_a_public_key_is_read_in_each_form(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    assert load_public_key(path) == PUBLIC
    assert not is_encrypted(path)


IDENTITY = "01" + "00" * 31


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (IDENTITY, "not of prime order"),
        (pem("PUBLIC KEY", bytes.fromhex("302a300506032b6570032100" + IDENTITY)), "not of prime order"),
        (PUBLIC.hex.upper(), "PEM line"),
        (PUBLIC.hex[:-1], "PEM line"),
        (PUBLIC.hex + "\n" + PUBLIC.hex, "PEM line"),
        (pem("PUBLIC KEY", bytes.fromhex("302a300506032b6570032101" + PUBLIC.hex)), "damaged"),
        (pem("PUBLIC KEY", bytes.fromhex("302b300506032b6570032200" + PUBLIC.hex + "00")), "damaged"),
        (
            RSA.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "an RSA key",
        ),
        (ENCRYPTED, "under a passphrase"),
    ],
)
def test_anything_but_a_public_key_is_refused(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    with pytest.raises(KeyFileError, match=re.escape(problem)):
        load_public_key(path)


def test_which_files_are_under_a_passphrase(path: Path) -> None:
    sealed_key(path)
    assert is_encrypted(path)
    private(path, ENCRYPTED)
    assert is_encrypted(path)
    private(path, PLAIN)
    assert not is_encrypted(path)
    private(path, "junk")
    with pytest.raises(KeyFileError):
        is_encrypted(path)


# --- a directory of public keys ---


def key(number: int) -> PublicKey:
    return SeedSigner(bytes([number]) * 32).public_key


@pytest.fixture
def approvers(tmp_path: Path) -> Path:
    write_public_key(tmp_path / "bob.pem", key(2))
    write_public_key(tmp_path / "alice@example.com.pub", key(1))
    return tmp_path


def test_a_directory_gives_keys_by_principal_in_order(approvers: Path) -> None:
    (approvers / "README.md").write_text("not a key")
    (approvers / ".hidden.pub").write_text("not a key")
    (approvers / "0").mkdir()
    assert list(load_public_keys(approvers).items()) == [("alice@example.com", key(1)), ("bob", key(2))]


def test_an_empty_directory_gives_no_keys(tmp_path: Path) -> None:
    assert load_public_keys(tmp_path) == {}


@pytest.mark.parametrize("name", ["Carol.pub", "-x.pub", "a b.pub", "é.pem", "a" * 65 + ".pub", "_x.pub"])
def test_a_file_named_like_no_principal_is_an_error_and_not_passed_over(approvers: Path, name: str) -> None:
    write_public_key(approvers / name, key(3))
    with pytest.raises(KeyFileError, match="not a principal"):
        load_public_keys(approvers)


def test_one_key_under_two_names_is_refused(approvers: Path) -> None:
    (approvers / "carol.pub").write_text(key(1).hex)
    with pytest.raises(
        KeyFileError, match=r"carol\.pub': it holds the same key as that of 'alice@example\.com'"
    ):
        load_public_keys(approvers)


def test_two_files_for_one_principal_are_refused(approvers: Path) -> None:
    write_public_key(approvers / "bob.pub", key(3))
    with pytest.raises(KeyFileError, match="second file for 'bob'"):
        load_public_keys(approvers)


def test_a_file_that_is_no_key_is_refused(approvers: Path) -> None:
    (approvers / "carol.pub").write_text("junk")
    with pytest.raises(KeyFileError, match=r"carol\.pub"):
        load_public_keys(approvers)


@posix_only
def test_a_pipe_is_refused_and_not_waited_for(approvers: Path) -> None:
    os.mkfifo(approvers / "carol.pub")
    with pytest.raises(KeyFileError, match="not a regular file"):
        load_public_keys(approvers)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="no such file or directory"):
        load_public_keys(tmp_path / "missing")
