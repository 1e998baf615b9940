from tests.features.magic_link.tools import make_site as make_site
