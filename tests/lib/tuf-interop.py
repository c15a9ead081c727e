#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The other side of tests/host/trust-interop.sh: python-tuf, the reference implementation, as signer and as client.

  tuf-interop.py make DIR          repositories that python-tuf signs, right and wrong ones, one case a directory
  tuf-interop.py client DIR STATE  python-tuf's client over all cases of DIR: STATE/CASE.json tells what it made of each step

A case is DIR/CASE/case.json, {"trusted": FILE, "steps": [{"repo": DIRECTORY, "accept": bool, "want": {TARGET: SHA-256}}]}: beginning
with the trusted root, a client goes through the steps with the same local state. A step is accepted when the refresh was,
and each wanted target was found and has that digest.
"""
import copy
import hashlib
import json
import os
import sys
from datetime import datetime, timedelta, timezone

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp)
from tuf.api.serialization.json import JSONSerializer

TOP = ("root", "timestamp", "snapshot", "targets")
NOW = datetime.now(timezone.utc).replace(microsecond=0)
FAR = NOW + timedelta(days=30)
PAST = NOW - timedelta(days=1)


def make_key(kind):
    return {"ed25519": CryptoSigner.generate_ed25519, "ecdsa": CryptoSigner.generate_ecdsa,
            "rsa": lambda: CryptoSigner.generate_rsa(size=2048)}[kind]()


class Repo:
    """A repository in memory; publish() signs and writes it whole. Hooks alter a role's bytes before others refer to them."""

    def __init__(self, kind="ed25519", consistent=True, lengths=True, hashes=("sha256",)):
        self.kind, self.lengths, self.hashes = kind, lengths, list(hashes)
        self.keys = {role: [make_key(kind)] for role in TOP}
        self.root = Root(expires=FAR, consistent_snapshot=consistent)
        self.root.version = 0
        for role in TOP:
            self.root.add_key(self.keys[role][0].public_key, role)
        self.roots = []
        self.snapshot = Snapshot(expires=FAR)
        self.timestamp = Timestamp(expires=FAR)
        self.roles = {"targets": Targets(expires=FAR)}
        self.contents = {}
        self.versions = {}
        self.hooks = {}
        self.commit_root()

    def add(self, name, text, role="targets"):
        data = text.encode()
        self.roles[role].targets[name] = TargetFile.from_data(name, data, self.hashes)
        self.contents[name] = data
        return hashlib.sha256(data).hexdigest()

    def delegate(self, parent, name, keys=None, threshold=1, terminating=False, paths=None, prefixes=None):
        parent = self.roles[parent]
        if parent.delegations is None:
            parent.delegations = Delegations({}, {})
        keys = keys if keys is not None else [make_key(self.kind)]
        parent.delegations.roles[name] = DelegatedRole(name, [], threshold, terminating, paths, prefixes)
        for key in keys:
            parent.add_key(key.public_key, name)
        self.keys.setdefault(name, keys)
        self.roles.setdefault(name, Targets(expires=FAR))
        return self.roles[name]

    def commit_root(self, signers=None, version=None, hook=None):
        self.root.version = version or self.root.version + 1
        data = self.sign(self.root, signers if signers is not None else self.keys["root"])
        self.roots.append((self.root.version, hook(data) if hook else data))

    def replace_key(self, role, sign=True):
        old = self.keys[role]
        for key in old:
            self.root.revoke_key(key.public_key.keyid, role)
        self.keys[role] = [make_key(self.kind)]
        for key in self.keys[role]:
            self.root.add_key(key.public_key, role)
        if sign:
            self.commit_root(dict.fromkeys(old + self.keys["root"]) if role == "root" else None)
        return old

    def sign(self, signed, signers):
        metadata = Metadata(copy.deepcopy(signed))
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes(JSONSerializer(compact=False))

    def describe(self, version, data):
        if not self.lengths:
            return MetaFile(version)
        return MetaFile(version, len(data), {name: hashlib.new(name, data).hexdigest() for name in self.hashes})

    def render(self, role, signed):
        data = self.sign(signed, self.keys[role])
        return self.hooks[role](data) if role in self.hooks else data

    def publish(self, where):
        consistent = self.root.consistent_snapshot
        files = {f"{version}.root.json": data for version, data in self.roots}
        for role, signed in self.roles.items():
            data = self.render(role, signed)
            files[f"{signed.version}.{role}.json" if consistent else f"{role}.json"] = data
            self.snapshot.meta[f"{role}.json"] = self.describe(self.versions.get(role, signed.version), data)
        data = self.render("snapshot", self.snapshot)
        files[f"{self.snapshot.version}.snapshot.json" if consistent else "snapshot.json"] = data
        self.timestamp.snapshot_meta = self.describe(self.versions.get("snapshot", self.snapshot.version), data)
        files["timestamp.json"] = self.render("timestamp", self.timestamp)
        os.makedirs(f"{where}/metadata")
        for name, data in files.items():
            with open(f"{where}/metadata/{name}", "wb") as file:
                file.write(data)
        for name, data in self.contents.items():
            directory, _, base = name.rpartition("/")
            os.makedirs(f"{where}/targets/{directory}", exist_ok=True)
            digests = [hashlib.new(h, data).hexdigest() + "." for h in self.hashes] if consistent else [""]
            for digest in digests:
                with open(f"{where}/targets/{directory}/{digest}{base}", "wb") as file:
                    file.write(data)

    def bump(self, *roles):
        for role in roles:
            {"snapshot": self.snapshot, "timestamp": self.timestamp, **self.roles}[role].version += 1


def resign(signers, edit):
    """A hook: what EDIT makes of the metadata, signed by SIGNERS over python-tuf's canonical form."""
    def hook(data):
        whole = json.loads(data)
        edit(whole["signed"])
        text = encode_canonical(whole["signed"]).encode()
        whole["signatures"] = [{"keyid": key.public_key.keyid, "sig": key.sign(text).signature} for key in signers]
        return json.dumps(whole).encode()
    return hook


def edit_signatures(edit):
    def hook(data):
        whole = json.loads(data)
        edit(whole["signatures"])
        return json.dumps(whole).encode()
    return hook


class Case:
    """Steps of one client."""

    def __init__(self, directory, name):
        self.where = f"{directory}/{name}"
        self.steps = []
        os.makedirs(self.where)

    def trust(self, repo):
        with open(f"{self.where}/root.json", "wb") as file:
            file.write(repo.roots[0][1])

    def step(self, repo, accept=True, want=None):
        name = str(len(self.steps) + 1)
        repo.publish(f"{self.where}/{name}")
        if not self.steps:
            self.trust(repo)
        self.steps.append({"repo": name, "accept": accept, "want": want or {}})
        return f"{self.where}/{name}"

    def done(self):
        with open(f"{self.where}/case.json", "w") as file:
            json.dump({"trusted": "root.json", "steps": self.steps}, file, indent=1)


CASES = {}


def case(*variants):
    """Registers a case; with VARIANTS once for each, passed as arguments."""
    def register(function):
        name = function.__name__.replace("_", "-")
        for variant in variants or [None]:
            label = name if variant is None else f"{name}-{variant}"
            CASES[label] = function if variant is None else lambda c, f=function, v=variant: f(c, v)
        return function
    return register


# -- Keys, layouts, forms

@case("ed25519", "ecdsa", "rsa")
def keys(c, kind):
    repo = Repo(kind)
    want = {"file.txt": repo.add("file.txt", kind)}
    repo.delegate("targets", "team", paths=["team/*"])
    want["team/tool"] = repo.add("team/tool", "of the team", "team")
    c.step(repo, want=want)


@case()
def inconsistent_snapshot(c):
    repo = Repo(consistent=False)
    c.step(repo, want={"a/file.txt": repo.add("a/file.txt", "one")})
    want = {"a/file.txt": repo.add("a/file.txt", "two")}
    repo.bump("targets", "snapshot", "timestamp")
    c.step(repo, want=want)


@case()
def inconsistent_to_consistent(c):
    repo = Repo(consistent=False)
    want = {"file": repo.add("file", "one")}
    c.step(repo, want=want)
    repo.root.consistent_snapshot = True
    repo.commit_root()
    repo.bump("targets", "snapshot", "timestamp")
    c.step(repo, want=want)


@case()
def no_lengths_nor_hashes(c):
    repo = Repo(lengths=False)
    c.step(repo, want={"file": repo.add("file", "one")})


@case()
def sha512_only(c):
    repo = Repo(hashes=("sha512",))
    c.step(repo, want={"file": repo.add("file", "one")})


@case()
def sha256_and_sha512(c):
    repo = Repo(hashes=("sha256", "sha512"))
    c.step(repo, want={"file": repo.add("file", "one")})


@case("root", "timestamp", "snapshot", "targets")
def unknown_fields(c, role):
    repo = Repo()
    want = {"file": repo.add("file", "one")}
    signed = {"root": repo.root, "timestamp": repo.timestamp, "snapshot": repo.snapshot, **repo.roles}[role]
    signed.unrecognized_fields["x-note"] = {"deep": [1, None, True, "é \"quoted\" \\ back"]}
    if role == "root":
        repo.roots.clear()
        repo.commit_root(version=1)
    c.step(repo, want=want)


@case("1.0", "1.0.99", "1.1.0")
def spec_version(c, version):
    repo = Repo()
    want = {"file": repo.add("file", "one")}
    repo.hooks["timestamp"] = resign(repo.keys["timestamp"], lambda s: s.update(spec_version=version))
    c.step(repo, want=want, accept=True)


@case()
def spec_version_2(c):
    repo = Repo()
    c.step(repo)
    repo.bump("timestamp")
    repo.hooks["timestamp"] = resign(repo.keys["timestamp"], lambda s: s.update(spec_version="2.0.0"))
    c.step(repo, False)


# -- Root

@case()
def root_chain(c):
    repo = Repo()
    c.step(repo)
    for _ in range(5):
        repo.replace_key("root")
    c.step(repo, want={"file": repo.add("file", "one")} if not repo.bump("targets", "snapshot", "timestamp") else None)


@case()
def root_chain_at_once(c):
    repo = Repo()
    for role in ("root", "timestamp", "root", "snapshot", "targets", "root"):
        repo.replace_key(role)
    c.step(repo, want={"file": repo.add("file", "one")})


@case()
def root_chain_mixed_keys(c):
    repo = Repo("rsa")
    for kind in ("ecdsa", "ed25519", "rsa", "ecdsa"):
        repo.kind = kind
        repo.replace_key("root")
        repo.replace_key("timestamp")
    c.step(repo, want={"file": repo.add("file", "one")})


@case()
def root_gap(c):
    repo = Repo()
    c.step(repo)
    repo.replace_key("timestamp")
    repo.replace_key("timestamp")
    repo.roots = [entry for entry in repo.roots if entry[0] != 2]
    repo.bump("timestamp")
    c.step(repo, False)


@case()
def root_signed_by_new_only(c):
    repo = Repo()
    c.step(repo)
    repo.replace_key("root", sign=False)
    repo.commit_root(repo.keys["root"])
    c.step(repo, False)


@case()
def root_signed_by_old_only(c):
    repo = Repo()
    c.step(repo)
    old = repo.replace_key("root", sign=False)
    repo.commit_root(old)
    c.step(repo, False)


@case()
def root_wrong_version_inside(c):
    repo = Repo()
    c.step(repo)
    repo.commit_root(version=3)
    repo.roots[-1] = (2, repo.roots[-1][1])
    c.step(repo, False)


@case()
def root_same_version_again(c):
    repo = Repo()
    c.step(repo)
    repo.roots.append((2, repo.roots[0][1]))
    c.step(repo, False)


@case()
def root_intermediate_expired(c):
    repo = Repo()
    c.step(repo)
    repo.root.expires = PAST
    repo.commit_root()
    repo.root.expires = FAR
    repo.commit_root()
    c.step(repo, want={"file": repo.add("file", "one")} if not repo.bump("targets", "snapshot", "timestamp") else None)


@case()
def old_timestamp_key(c):
    repo = Repo()
    c.step(repo)
    old = repo.replace_key("timestamp")
    repo.bump("timestamp")
    repo.keys["timestamp"] = old
    c.step(repo, False)


# -- Thresholds

def thresholds(repo, role, count, threshold):
    repo.keys[role] += [make_key(repo.kind) for _ in range(count - 1)]
    for key in repo.keys[role]:
        repo.root.add_key(key.public_key, role)
    repo.root.roles[role].threshold = threshold
    repo.roots.clear()
    repo.commit_root(version=1)


@case("root", "timestamp", "snapshot", "targets")
def threshold_met(c, role):
    repo = Repo()
    want = {"file": repo.add("file", "one")}
    thresholds(repo, role, 3, 2)
    if role != "root":
        repo.keys[role] = repo.keys[role][1:]
    c.step(repo, want=want)
    repo.commit_root(repo.keys["root"][:2])
    c.step(repo, want=want)


@case("timestamp", "snapshot", "targets")
def threshold_one_short(c, role):
    repo = Repo()
    thresholds(repo, role, 3, 2)
    c.step(repo)
    repo.keys[role] = repo.keys[role][:1]
    repo.bump("targets", "snapshot", "timestamp")
    c.step(repo, False)


@case()
def threshold_root_one_short(c):
    repo = Repo()
    thresholds(repo, "root", 3, 2)
    c.step(repo)
    repo.commit_root(repo.keys["root"][:1])
    c.step(repo, False)


@case()
def threshold_raised(c):
    repo = Repo()
    c.step(repo)
    repo.keys["root"] += [make_key("ecdsa"), make_key("rsa")]
    for key in repo.keys["root"]:
        repo.root.add_key(key.public_key, "root")
    repo.root.roles["root"].threshold = 3
    repo.commit_root()
    c.step(repo)
    repo.commit_root(repo.keys["root"][:2])
    c.step(repo, False)


@case()
def signature_twice(c):
    repo = Repo()
    thresholds(repo, "timestamp", 3, 2)
    c.step(repo)
    repo.keys["timestamp"] = repo.keys["timestamp"][:1]
    repo.bump("timestamp")
    repo.hooks["timestamp"] = edit_signatures(lambda s: s.append(s[0]))
    c.step(repo, False)


@case()
def signature_broken_beside_good(c):
    repo = Repo()
    thresholds(repo, "timestamp", 3, 2)
    repo.hooks["timestamp"] = edit_signatures(lambda s: s[0].update(sig="00" * 64))
    c.step(repo, want={"file": repo.add("file", "one")})


@case()
def signature_unknown_beside_good(c):
    repo = Repo()
    repo.keys["timestamp"].append(make_key("ecdsa"))
    c.step(repo, want={"file": repo.add("file", "one")})


@case()
def signature_none(c):
    repo = Repo()
    c.step(repo)
    repo.bump("timestamp")
    repo.hooks["timestamp"] = edit_signatures(lambda s: s.clear())
    c.step(repo, False)


@case("timestamp", "snapshot", "targets")
def signed_by_other_role(c, role):
    repo = Repo()
    c.step(repo)
    repo.keys[role] = repo.keys["snapshot" if role == "timestamp" else "timestamp"]
    repo.bump("targets", "snapshot", "timestamp")
    c.step(repo, False)


# -- Expiry

@case("root", "timestamp", "snapshot", "targets")
def expired(c, role):
    repo = Repo()
    c.step(repo)
    {"root": repo.root, "timestamp": repo.timestamp, "snapshot": repo.snapshot, **repo.roles}[role].expires = PAST
    if role == "root":
        repo.commit_root()
    repo.bump("targets", "snapshot", "timestamp")
    c.step(repo, False)


@case()
def expired_then_renewed(c):
    repo = Repo()
    repo.timestamp.expires = PAST
    c.step(repo, False)
    repo.timestamp.expires = FAR
    repo.bump("timestamp")
    c.step(repo, want={"file": repo.add("file", "one")} if not repo.bump("targets", "snapshot") else None)


@case()
def expired_delegation(c):
    repo = Repo()
    repo.delegate("targets", "team", paths=["team/*"])
    repo.add("team/tool", "x", "team")
    repo.roles["team"].expires = PAST
    c.step(repo, False, want={"team/tool": "any"})


# -- Rollback, freeze, fast-forward, mix and match

@case()
def timestamp_rollback(c):
    repo = Repo()
    repo.timestamp.version = 5
    c.step(repo)
    repo.timestamp.version = 4
    c.step(repo, False)


@case()
def timestamp_same_again(c):
    repo = Repo()
    want = {"file": repo.add("file", "one")}
    c.step(repo, want=want)
    c.step(repo, want=want)


@case()
def snapshot_rollback(c):
    repo = Repo()
    repo.snapshot.version = 5
    c.step(repo)
    repo.snapshot.version = 4
    repo.bump("timestamp")
    c.step(repo, False)


@case()
def targets_rollback(c):
    repo = Repo()
    repo.roles["targets"].version = 5
    c.step(repo)
    repo.roles["targets"].version = 4
    repo.bump("snapshot", "timestamp")
    c.step(repo, False)


@case()
def delegated_rollback(c):
    repo = Repo()
    repo.delegate("targets", "team", paths=["team/*"])
    want = {"team/tool": repo.add("team/tool", "x", "team")}
    repo.roles["team"].version = 5
    c.step(repo, want=want)
    repo.roles["team"].version = 4
    repo.bump("snapshot", "timestamp")
    c.step(repo, False, want=want)


@case()
def snapshot_loses_role(c):
    repo = Repo()
    repo.delegate("targets", "team", paths=["team/*"])
    c.step(repo)
    repo.bump("snapshot", "timestamp")
    repo.hooks["snapshot"] = resign(repo.keys["snapshot"], lambda s: s["meta"].pop("team.json"))
    c.step(repo, False)


@case()
def fast_forward_kept(c):
    repo = Repo()
    repo.timestamp.version = repo.snapshot.version = 1000
    c.step(repo)
    repo.timestamp.version = repo.snapshot.version = 2
    c.step(repo, False)


@case("timestamp", "snapshot")
def fast_forward_recovered(c, role):
    repo = Repo()
    repo.timestamp.version = 1000 if role == "timestamp" else 1
    repo.snapshot.version = 1000
    c.step(repo)
    # The specification's recovery: a root with new keys makes clients forget timestamp and snapshot both.
    repo.replace_key("timestamp")
    repo.replace_key("snapshot")
    repo.timestamp.version = repo.snapshot.version = 2
    c.step(repo, want={"file": repo.add("file", "one")} if not repo.bump("targets") else None)


@case()
def fast_forward_targets_recovered(c):
    repo = Repo()
    repo.roles["targets"].version = 1000
    c.step(repo)
    repo.replace_key("timestamp")
    repo.replace_key("snapshot")
    repo.replace_key("targets")
    repo.roles["targets"].version = 2
    repo.bump("snapshot", "timestamp")
    c.step(repo)


@case("snapshot", "targets")
def version_other_than_named(c, role):
    repo = Repo()
    repo.versions[role] = 2
    where = c.step(repo, False)
    os.rename(f"{where}/metadata/1.{role}.json", f"{where}/metadata/2.{role}.json")


@case("snapshot", "targets")
def wrong_hash(c, role):
    repo = Repo()
    where = c.step(repo, False)
    path = f"{where}/metadata/1.{role}.json"
    data = open(path, "rb").read()
    # Still the same signed content and the same length: only the digest can tell.
    changed = data.replace(b"{\n ", b"{ \n", 1)
    assert len(changed) == len(data) and changed != data
    open(path, "wb").write(changed)


@case("snapshot", "targets")
def too_long(c, role):
    repo = Repo()
    where = c.step(repo, False)
    with open(f"{where}/metadata/1.{role}.json", "ab") as file:
        file.write(b" " * 100)


@case("root", "timestamp", "snapshot", "targets")
def wrong_type(c, role):
    repo = Repo()
    c.step(repo)
    repo.bump("targets", "snapshot", "timestamp")
    other = "snapshot" if role == "timestamp" else "timestamp"
    hook = resign(repo.keys[role], lambda s: s.update(_type=other))
    if role == "root":
        repo.commit_root(hook=hook)
    else:
        repo.hooks[role] = hook
    c.step(repo, False)


@case("timestamp.json", "1.snapshot.json", "1.targets.json")
def missing(c, name):
    repo = Repo()
    os.remove(f"{c.step(repo, False)}/metadata/{name}")


@case("timestamp", "snapshot", "targets")
def no_json(c, role):
    repo = Repo(lengths=False)
    repo.hooks[role] = lambda data: data[:-10]
    c.step(repo, False)


# -- Targets

@case()
def target_wrong_hash(c):
    repo = Repo()
    digest = repo.add("file", "one")
    where = c.step(repo, False, want={"file": digest})
    open(f"{where}/targets/{digest}.file", "w").write("two")


@case("longer", "shorter", "gone")
def target_wrong_length(c, how):
    repo = Repo()
    digest = repo.add("file", "one")
    path = f"{c.step(repo, False, want={'file': digest})}/targets/{digest}.file"
    if how == "gone":
        os.remove(path)
    else:
        open(path, "w").write("one more" if how == "longer" else "on")


@case()
def target_unknown(c):
    repo = Repo()
    repo.add("file", "one")
    c.step(repo, False, want={"other": "any"})


@case()
def target_withdrawn(c):
    repo = Repo()
    want = {"file": repo.add("file", "one")}
    c.step(repo, want=want)
    del repo.roles["targets"].targets["file"]
    repo.bump("targets", "snapshot", "timestamp")
    c.step(repo, False, want=want)


# -- Delegations

PATTERNS = [
    ("*", "file", True), ("*", "dir/file", False), ("dir/*", "dir/file", True), ("dir/*", "dir/sub/file", False),
    ("dir/*/*.bin", "dir/sub/file.bin", True), ("dir/*/*.bin", "dir/file.bin", False), ("dir/v?.bin", "dir/v1.bin", True),
    ("dir/v?.bin", "dir/v12.bin", False), ("dir/?", "dir/", False), ("*.tgz", "a.tgz", True), ("*.tgz", "a.tgz.sig", False),
    ("dir/file", "dir/file", True), ("dir/fil", "dir/file", False), ("foo-version-?.tgz", "foo-version-a.tgz", True),
    ("dir/[ab]x", "dir/ax", True), ("dir/[ab]x", "dir/cx", False), ("dir/[!ab]x", "dir/cx", True), ("dir/**", "dir/a", True),
    ("DIR/*", "dir/a", False), ("*/*", "dir/.hidden", True),
]


@case(*range(len(PATTERNS)))
def path_pattern(c, index):
    pattern, name, matches = PATTERNS[index]
    repo = Repo()
    repo.delegate("targets", "team", paths=[pattern])
    if name.endswith("/"):
        digest = repo.add(name + "x", "x", "team")
        name += "xx"
    else:
        digest = repo.add(name, "x", "team")
    c.step(repo, matches, want={name: digest})


@case("matching", "not-matching")
def hash_prefix(c, how):
    repo = Repo()
    digest = hashlib.sha256(b"dir/file").hexdigest()
    prefix = digest[:3] if how == "matching" else ("0" if digest[0] != "0" else "1") + digest[1:3]
    repo.delegate("targets", "team", prefixes=[prefix, "ffffffffff"])
    want = {"dir/file": repo.add("dir/file", "x", "team")}
    c.step(repo, how == "matching", want=want)


@case()
def hashed_bins(c):
    repo = Repo()
    key = make_key("ed25519")
    for number in range(16):
        repo.delegate("targets", f"bin-{number:x}", keys=[key], prefixes=[f"{number:x}"], terminating=True)
    want = {}
    for number in range(64):
        name = f"files/{number}.bin"
        want[name] = repo.add(name, f"file {number}", f"bin-{hashlib.sha256(name.encode()).hexdigest()[0]}")
    c.step(repo, want=want)


@case()
def hashed_bin_wrong(c):
    repo = Repo()
    for number in range(16):
        repo.delegate("targets", f"bin-{number:x}", prefixes=[f"{number:x}"])
    wrong = int(hashlib.sha256(b"file").hexdigest()[0], 16) ^ 1
    c.step(repo, False, want={"file": repo.add("file", "x", f"bin-{wrong:x}")})


@case("terminating", "going-on")
def terminating(c, how):
    repo = Repo()
    repo.delegate("targets", "first", paths=["dir/*"], terminating=how == "terminating")
    repo.delegate("targets", "second", paths=["dir/*"])
    c.step(repo, how == "going-on", want={"dir/file": repo.add("dir/file", "x", "second")})


@case()
def terminating_elsewhere(c):
    repo = Repo()
    repo.delegate("targets", "first", paths=["other/*"], terminating=True)
    repo.delegate("targets", "second", paths=["dir/*"])
    c.step(repo, want={"dir/file": repo.add("dir/file", "x", "second")})


@case()
def terminating_below(c):
    repo = Repo()
    repo.delegate("targets", "first", paths=["dir/*"])
    repo.delegate("first", "inner", paths=["dir/*"], terminating=True)
    repo.delegate("targets", "second", paths=["dir/*"])
    c.step(repo, False, want={"dir/file": repo.add("dir/file", "x", "second")})


@case()
def first_wins(c):
    repo = Repo()
    repo.delegate("targets", "first", paths=["dir/*"])
    repo.delegate("targets", "second", paths=["dir/*"])
    repo.add("dir/file", "second's", "second")
    c.step(repo, want={"dir/file": repo.add("dir/file", "first's", "first")})


@case()
def depth_before_breadth(c):
    repo = Repo()
    repo.delegate("targets", "first", paths=["dir/*"])
    repo.delegate("first", "inner", paths=["dir/*"])
    repo.delegate("targets", "second", paths=["dir/*"])
    repo.add("dir/file", "second's", "second")
    c.step(repo, want={"dir/file": repo.add("dir/file", "inner's", "inner")})


@case()
def nested(c):
    repo = Repo()
    parent = "targets"
    for number in range(6):
        repo.delegate(parent, f"level{number}", paths=["a/b/*"])
        parent = f"level{number}"
    c.step(repo, want={"a/b/file": repo.add("a/b/file", "deep", parent)})


@case()
def nested_narrower_above(c):
    repo = Repo()
    repo.delegate("targets", "first", paths=["a/*"])
    repo.delegate("first", "inner", paths=["*", "b/*"])
    c.step(repo, False, want={"b/file": repo.add("b/file", "x", "inner")})


@case()
def cycle(c):
    repo = Repo()
    repo.delegate("targets", "first", paths=["dir/*"])
    repo.delegate("first", "second", paths=["dir/*"])
    repo.delegate("second", "first", keys=repo.keys["first"], paths=["dir/*"])
    c.step(repo, False, want={"dir/file": "any"})


@case()
def delegated_beyond_its_paths(c):
    repo = Repo()
    repo.delegate("targets", "images", paths=["images/*"], terminating=True)
    repo.delegate("targets", "policy", paths=["policy/*"], terminating=True)
    c.step(repo, False, want={"policy/office.json": repo.add("policy/office.json", "by images", "images")})


@case()
def delegated_threshold_met(c):
    repo = Repo()
    team = [make_key("ed25519"), make_key("ecdsa"), make_key("rsa")]
    repo.delegate("targets", "team", keys=team, threshold=2, paths=["team/*"])
    repo.keys["team"] = team[1:]
    c.step(repo, want={"team/tool": repo.add("team/tool", "x", "team")})


@case()
def delegated_threshold_one_short(c):
    repo = Repo()
    team = [make_key("ed25519") for _ in range(3)]
    repo.delegate("targets", "team", keys=team, threshold=2, paths=["team/*"])
    repo.keys["team"] = team[:1]
    c.step(repo, False, want={"team/tool": repo.add("team/tool", "x", "team")})


@case()
def delegated_wrong_key(c):
    repo = Repo()
    repo.delegate("targets", "team", paths=["team/*"])
    repo.keys["team"] = repo.keys["targets"]
    c.step(repo, False, want={"team/tool": repo.add("team/tool", "x", "team")})


@case()
def delegated_key_rotated(c):
    repo = Repo()
    repo.delegate("targets", "team", paths=["team/*"])
    want = {"team/tool": repo.add("team/tool", "x", "team")}
    c.step(repo, want=want)
    old = repo.keys["team"]
    repo.roles["targets"].revoke_key(old[0].public_key.keyid, "team")
    repo.keys["team"] = [make_key("ecdsa")]
    repo.roles["targets"].add_key(repo.keys["team"][0].public_key, "team")
    repo.bump("targets", "team", "snapshot", "timestamp")
    c.step(repo, want=want)
    repo.keys["team"] = old
    repo.bump("team", "snapshot", "timestamp")
    c.step(repo, False, want=want)


@case()
def delegated_by_two(c):
    """The same role's metadata, vouched for by another key of one delegator: only that one's word is wrong."""
    repo = Repo()
    repo.delegate("targets", "first", paths=["one/*"])
    repo.delegate("targets", "second", paths=["two/*"])
    repo.delegate("first", "shared", paths=["one/*", "two/*"])
    repo.delegate("second", "shared", keys=repo.keys["shared"], paths=["two/*"])
    want = {"one/file": repo.add("one/file", "x", "shared"), "two/file": repo.add("two/file", "y", "shared")}
    c.step(repo, want=want)


@case()
def delegation_without_metadata_elsewhere(c):
    repo = Repo()
    repo.delegate("targets", "team", paths=["team/*"])
    want = {"file": repo.add("file", "x")}
    where = c.step(repo, want=want)
    os.remove(f"{where}/metadata/1.team.json")


# -- Programs

def make(directory):
    for name, function in CASES.items():
        one = Case(directory, name)
        function(one)
        one.done()
    print(len(CASES))


def run_client(directory, state):
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient import FetcherInterface, Updater

    class FileFetcher(FetcherInterface):
        """Takes file URLs: the test needs no network to be a client."""

        def _fetch(self, url):
            try:
                with open(url[len("file://"):], "rb") as file:
                    return iter([file.read()])
            except OSError as error:
                raise DownloadHTTPError(str(error), 404) from error

    def step(where, local, downloads, want):
        updater = Updater(local, f"file://{where}/metadata/", downloads, f"file://{where}/targets/", FileFetcher())
        updater.refresh()
        for number, (name, digest) in enumerate(sorted(want.items())):
            info = updater.get_targetinfo(name)
            if info is None:
                raise RuntimeError(f"no target {name}")
            path = updater.download_target(info, f"{downloads}/{number}")
            with open(path, "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != digest:
                    raise RuntimeError(f"{name} has another digest")

    for name in sorted(os.listdir(directory)):
        with open(f"{directory}/{name}/case.json") as file:
            steps = json.load(file)["steps"]
        local = f"{state}/{name}"
        os.makedirs(local)
        with open(f"{directory}/{name}/root.json", "rb") as source, open(f"{local}/root.json", "wb") as target:
            target.write(source.read())
        outcomes = []
        for number, one in enumerate(steps):
            downloads = f"{state}/{name}.{number}"
            os.makedirs(downloads)
            outcome = {"accept": True, "why": ""}
            try:
                step(f"{directory}/{name}/{one['repo']}", local, downloads, one["want"])
            except Exception as error:  # whatever the client raises, it did not accept
                outcome = {"accept": False, "why": f"{type(error).__name__}: {error}"[:200]}
            outcome["versions"] = versions(local)
            outcomes.append(outcome)
        with open(f"{state}/{name}.json", "w") as file:
            json.dump(outcomes, file, indent=1)


def versions(local):
    """Versions of the top-level roles that a client trusts, by the names that both sides give them."""
    found = {}
    for role in TOP:
        try:
            with open(f"{local}/{role}.json") as file:
                found[role] = json.load(file)["signed"]["version"]
        except OSError:
            pass
    return found


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        make(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "client":
        run_client(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
