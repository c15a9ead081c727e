#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The published JSON Schema of policy documents and the parser agree: on the corpora, and on some hundred documents made from a good one
# by leaving a key out, adding one, or giving a value another type. What only the parser can know (names that refer to each other,
# arithmetic on addresses) stands in policy-corpus/bad/SCHEMA-ACCEPTS, each document with its reason.
set -euo pipefail
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${FLOE_BUILD:-$SOURCE/build/gcc}
[ -x "$BUILD/bin/floe-policy" ] || { echo "no $BUILD/bin/floe-policy: build first"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Debian's interpreter: python3-jsonschema is a package of its.
/usr/bin/python3 - "$SOURCE" "$BUILD/bin/floe-policy" <<'PYTHON'
import copy, glob, json, os, subprocess, sys
from jsonschema import Draft202012Validator

source, program = sys.argv[1:]
schema = json.loads(subprocess.run([program, 'schema'], check=True, capture_output=True).stdout)
if schema != json.load(open(source + '/policy/document/floe-policy.schema.json')):
    sys.exit('floe-policy schema prints another schema than policy/document has: build again')
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
failures = []

def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError('duplicate key')
    return dict(pairs)

def schema_accepts(text):
    try:
        document = json.loads(text.decode('utf-8'), object_pairs_hook=no_duplicates)
        document_text = json.dumps(document, ensure_ascii=False)
        document_text.encode('utf-8')                       # a lone surrogate is no text
        return '\0' not in str(document) and '\\u0000' not in document_text and validator.is_valid(document)
    except (ValueError, RecursionError):
        return False

def parser_accepts(names):
    output = subprocess.run([program, 'lint'] + names, capture_output=True).stdout.decode('utf-8', 'replace')
    return {line.rsplit(': ok', 1)[0] for line in output.splitlines() if line.endswith(': ok')}

corpus = source + '/tests/unit/policy-corpus'
excused = dict(line.rstrip('\n').split(': ', 1) for line in open(corpus + '/bad/SCHEMA-ACCEPTS'))
good = glob.glob(corpus + '/good/*.json') + glob.glob(source + '/docs/examples/*.json')
for path in good:
    if not schema_accepts(open(path, 'rb').read()):
        failures.append(path + ': good, and the schema refuses it')
bad = glob.glob(corpus + '/bad/*.json')
for path in bad:
    name = os.path.basename(path)
    accepted = schema_accepts(open(path, 'rb').read())
    if accepted != (name in excused):
        failures.append('%s: the schema %s it' % (name, 'accepts' if accepted else 'now refuses'))
if parser_accepts(good) != set(good):
    failures.append('the parser refuses a good document')
if parser_accepts(bad):
    failures.append('the parser accepts a bad document')

def places(value, path=()):
    """Every value inside, with the path to it."""
    yield path, value
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], path + (key,))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from places(value[index], path + (index,))

def replaced(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return document

def mutants(document, only):
    for path, value in places(document):
        if path[:len(only)] != only or ('when' in path and path[-1] != 'when' and path[path.index('when') + 1] > 1):
            continue                                        # two windows are as good as eight
        for other in (None, True, 0, -1, 2 ** 40, 1.5, '', 'x', 'a b', '*', [], ['x'], {}, {'x': 1}, [[]], 'none', 'any'):
            yield replaced(document, path, other)
        if isinstance(value, dict):
            yield replaced(document, path, dict(value, surplus=1))
            for key in value:
                yield replaced(document, path, {k: v for k, v in value.items() if k != key})
        if isinstance(value, list) and value:
            yield replaced(document, path, value[1:])
            yield replaced(document, path, value + value[-1:])

# What depends on another part of the document is beyond a schema: such a refusal of the parser alone is in order.
REFERENCES = ("is none of this document's", 'is assigned to nobody', 'another rule of this document', 'another machine is called',
              'are the same key', 'is in this list twice', 'bits are set after the prefix', 'no rule can open it',
              'unless its ipv6 is true', "set the network's dns.resolver", 'are the same LAN', 'the same LAN as', 'has no card on network',
              'has no way out', 'would go through itself', 'it ends when it begins', 'and no prefix here is', 'or reserved')

def alone(document):
    """Each network in a document without the others where it can do without: what is small is judged fast."""
    for network, value in document['networks'].items():
        small = copy.deepcopy(document)
        if value['mode'] != 'filter':
            small['networks'] = {network: value}
            for machine in small['machines']:
                machine['networks'] = [name for name in machine['networks'] if name == network]
        yield small, ('networks', network)

made = {}
starts = [(json.load(open(source + '/docs/examples/office.json')), ()), (json.load(open(corpus + '/good/everything.json')), ()),
          (json.load(open(corpus + '/good/usb.json')), ('usb',))]
starts += alone(json.load(open(corpus + '/good/networks.json')))
for start, only in starts:
    for document in mutants(start, only):
        name = 'm%05d.json' % len(made)
        made[name] = document
        with open(name, 'w') as out:
            json.dump(document, out)
names = sorted(made)
verdicts = {}
for start in range(0, len(names), 500):
    output = subprocess.run([program, 'lint'] + names[start:start + 500], capture_output=True).stdout.decode('utf-8', 'replace')
    for line in output.splitlines():
        if ': note: ' not in line:
            verdicts[line[:len(names[0])]] = line[len(names[0]):]
both = 0
for name in names:
    parser = verdicts[name] == ': ok'
    schema_says = validator.is_valid(made[name])
    if parser == schema_says:
        both += parser
    elif parser or not any(reason in verdicts[name] for reason in REFERENCES):
        failures.append('%s: parser%s, schema %s: %s' % (name, verdicts[name], 'accepts' if schema_says else 'refuses',
                                                          json.dumps(made[name])[:300]))
if both < 20 or len(names) < 1000:
    failures.append('only %d of %d made documents are good: the test tests too little' % (both, len(names)))
print('\n'.join(failures[:40]))
print('%d good, %d bad, %d made (%d of them good): %d disagreements' % (len(good), len(bad), len(names), both, len(failures)))
sys.exit(1 if failures else 0)
PYTHON
