#!/bin/sh
# Fill the names and addresses of this deployment into the configuration of deploy/nginx, and start nginx.
set -eu
sed \
  -e "s/server_name chat\.example;/server_name $CHAT_HOST;/" \
  -e "s/server 127\.0\.0\.1:8080/server 172.30.84.11:8080/" \
  -e "s/# server 10\.0\.0\.2:8080/server 172.30.84.12:8080/" \
  -e "s#/etc/ssl/chat\.example/#/etc/ssl/consentful/#" \
  -e "s#/var/log/nginx/consentful\.log#/dev/stdout#" \
  -e "s#/var/log/nginx/consentful\.error\.log#/dev/stderr#" \
  "${1:-/etc/consentful/consentful.conf}" >"${2:-/etc/nginx/conf.d/consentful.conf}"
exec nginx -g 'daemon off;'
