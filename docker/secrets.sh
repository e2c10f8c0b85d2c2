#!/usr/bin/env bash
# Makes what compose.yaml needs and git must not have: Ray's token, and the keys of the S3 service.
set -euo pipefail
umask 077
folder="$(dirname "$0")/secrets"
if [ -e "$folder" ]; then
    echo "$folder is there already; remove it first to make new secrets" >&2
    exit 1
fi
mkdir "$folder"
random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
key="$(random 10)"
secret="$(random 32)"
random 32 > "$folder/ray_token"
printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$key" "$secret" > "$folder/s3.env"
printf '{"identities": [{"name": "offmanifold", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin"]}]}\n' \
    "$key" "$secret" > "$folder/s3.json"
