# The API reference pages: `make web` installs Swagger UI and ReDoc from npm
# (pinned by web/package-lock.json) and puts $(BUILD)/web together. Quick when
# nothing changed.

WEB     := $(BUILD)/web
WEB_NPM := $(BUILD)/npm
WEB_SRC := $(shell find web -type f)

.PHONY: web install-web

web: $(BUILD)/web.stamp

$(WEB_NPM)/stamp: web/package.json web/package-lock.json web/.npmrc
	@mkdir -p $(WEB_NPM)
	cp $^ $(WEB_NPM)
	cd $(WEB_NPM) && npm ci --omit=dev --loglevel=error
	@touch $@

$(BUILD)/web.stamp: $(WEB_NPM)/stamp $(WEB_SRC)
	sh web/assemble.sh $(WEB_NPM)/node_modules $(WEB)
	@touch $@

install: install-web

# Without `make web` before it, there are no pages to install.
install-web:
	@if [ -d $(WEB) ]; then \
	    cd $(WEB) && find . -type f -exec install -D -m 0644 '{}' \
	        '$(abspath $(DESTDIR)$(PREFIX)/share/taskmq/web)/{}' ';'; \
	else \
	    echo "install: no API reference pages (make web was not run)"; \
	fi
