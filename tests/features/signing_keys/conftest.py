from tests.features.signing_keys.tools import keep as keep
