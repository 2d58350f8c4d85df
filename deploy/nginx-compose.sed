# What deploy/compose.yaml changes of nginx.conf: two servers, no root, no file but in /tmp.
s|server 127.0.0.1:8000 max_fails=0;|server server-1:8000 max_fails=1 fail_timeout=5s; server server-2:8000 max_fails=1 fail_timeout=5s;|
s|listen 80;|listen 8080;|
s|/var/log/nginx/depot.log|/dev/stdout|
s|/var/log/nginx/depot-error.log|/dev/stderr|
s|^http {|pid /tmp/nginx.pid;\
http {\
    client_body_temp_path /tmp/body;\
    proxy_temp_path /tmp/proxy;\
    fastcgi_temp_path /tmp/fastcgi;\
    uwsgi_temp_path /tmp/uwsgi;\
    scgi_temp_path /tmp/scgi;|
