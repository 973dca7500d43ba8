/*
 * Makes, changes and destroys AES keys of 256 bits, with attributes that pkcs11-tool has no words for:
 *
 *   keys MODULE TOKEN PIN make|set|destroy LABEL ID [ATTRIBUTE=0|1]...
 *
 * `set` and `destroy` take every key of label and id.
 */
#include "cryptoki.h"

#define CALL(function, types, arguments)                                            \
    do {                                                                            \
        CK_RV answer = ((CK_RV(*) types)module->functions[function])arguments;      \
        if (answer != 0) {                                                          \
            fprintf(stderr, "keys: " #function " answers %#lx\n", answer);          \
            return 1;                                                               \
        }                                                                           \
    } while (0)

static const struct {
    const char *name;
    CK_ULONG type;
} ATTRIBUTES[] = {
    {"private", 0x2},  {"sensitive", 0x103}, {"encrypt", 0x104}, {"decrypt", 0x105}, {"wrap", 0x106},
    {"unwrap", 0x107}, {"sign", 0x108},      {"verify", 0x10a},  {"derive", 0x10c},  {"extractable", 0x162},
};

int main(int count, char **words) {
    if (count < 7)
        return 64;
    struct CK_FUNCTION_LIST *module = load(words[1]);
    const char *token = words[2], *pin = words[3], *command = words[4];
    CK_ULONG secret_key = 4, aes = 0x1f, len = 32;
    unsigned char yes = 1, id[32], switches[16];
    CK_ULONG id_len = 0;
    for (const char *at = words[6]; at[0] && at[1] && id_len < sizeof id; at += 2)
        if (sscanf(at, "%2hhx", &id[id_len++]) != 1)
            return 64;
    struct CK_ATTRIBUTE template[32] = {
        {0x0, &secret_key, sizeof secret_key},
        {0x100, &aes, sizeof aes},
        {0x1, &yes, 1},
        {0x3, words[5], strlen(words[5])},
        {0x102, id, id_len},
        {0x161, &len, sizeof len},
    };
    struct CK_ATTRIBUTE *end = template + 6, *changes = end;
    for (int at = 7; at < count && at - 7 < (int)sizeof switches; at++) {
        char *value = strchr(words[at], '=');
        size_t row = 0, rows = sizeof ATTRIBUTES / sizeof *ATTRIBUTES;
        if (!value)
            return 64;
        *value = 0;
        while (row < rows && strcmp(ATTRIBUTES[row].name, words[at]) != 0)
            row++;
        if (row == rows)
            return 64;
        switches[at - 7] = value[1] == '1';
        *end++ = (struct CK_ATTRIBUTE){ATTRIBUTES[row].type, &switches[at - 7], 1};
    }

    CALL(C_Initialize, (void *), (NULL));
    CK_ULONG slots[16], slot_count = 16, slot = 0, session, found[16], found_count;
    CALL(C_GetSlotList, (unsigned char, CK_ULONG *, CK_ULONG *), (1, slots, &slot_count));
    while (slot < slot_count) {
        struct CK_TOKEN_INFO info;
        CALL(C_GetTokenInfo, (CK_ULONG, void *), (slots[slot], &info));
        if (strncmp(info.label, token, strlen(token)) == 0)
            break;
        slot++;
    }
    if (slot == slot_count) {
        fprintf(stderr, "keys: there is no token %s\n", token);
        return 1;
    }
    CALL(C_OpenSession, (CK_ULONG, CK_ULONG, void *, void *, CK_ULONG *), (slots[slot], 6, NULL, NULL, &session));
    CALL(C_Login, (CK_ULONG, CK_ULONG, const void *, CK_ULONG), (session, 1, pin, strlen(pin)));
    if (strcmp(command, "make") == 0) {
        struct CK_MECHANISM generate = {0x1080, NULL, 0};
        CALL(C_GenerateKey, (CK_ULONG, void *, void *, CK_ULONG, CK_ULONG *),
             (session, &generate, template, (CK_ULONG)(end - template), found));
        return 0;
    }
    CALL(C_FindObjectsInit, (CK_ULONG, void *, CK_ULONG), (session, template, 5));
    CALL(C_FindObjects, (CK_ULONG, CK_ULONG *, CK_ULONG, CK_ULONG *), (session, found, 16, &found_count));
    CALL(C_FindObjectsFinal, (CK_ULONG), (session));
    for (CK_ULONG at = 0; at < found_count; at++) {
        if (strcmp(command, "destroy") == 0)
            CALL(C_DestroyObject, (CK_ULONG, CK_ULONG), (session, found[at]));
        else
            CALL(C_SetAttributeValue, (CK_ULONG, CK_ULONG, void *, CK_ULONG),
                 (session, found[at], changes, (CK_ULONG)(end - changes)));
    }
    return found_count ? 0 : 1;
}
