# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the builders, which have say(): the archives that packages come from.

# mirror_of LABEL: the archive of Debian's that this host's apt names, "Debian" or "Debian-Security"; nothing when it names none.
mirror_of() {
  apt-get indextargets --format '$(ORIGIN)/$(LABEL)/$(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v wanted="Debian/$1/main" '$1 == wanted && uri == "" { uri = $2 } END { print uri }'
}

# debian_sources SUITE MIRROR COMPONENTS: sets the array `sources`, for mmdebstrap. A site's own mirrors are the ones that its hosts use: MIRROR, or else what
# apt names. Where that is none, `sources` is empty: mmdebstrap knows Debian's.
debian_sources() {
  local site=${2:-$(mirror_of Debian)} security
  sources=()
  [ -n "$site" ] || return 0
  sources=("deb $site $1 $3" "deb $site $1-updates $3")
  security=$(mirror_of Debian-Security)
  if [ -n "$security" ]; then
    sources+=("deb $security $1-security $3")
  else
    say "warning: apt names no archive of Debian's security updates on this machine: what is made now, and what is kept of it, has none of them"
  fi
}
