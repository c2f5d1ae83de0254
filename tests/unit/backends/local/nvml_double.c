/* A double of libnvidia-ml.so.1 for tests, written from the published interface of NVML (names, types and return
 * values of https://docs.nvidia.com/deploy/nvml-api/). It is no part of NVIDIA's software and knows no hardware:
 * COMITY_DOUBLE_DEVICES says how many devices there are; index 9 has fallen off the bus. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int nvmlReturn_t; /* NVML_SUCCESS 0, NVML_ERROR_UNINITIALIZED 1, NVML_ERROR_INVALID_ARGUMENT 2 */
typedef struct { unsigned index; } *nvmlDevice_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;

static int ready;
static struct { unsigned index; } devices[16];

static unsigned count(void) {
    const char *text = getenv("COMITY_DOUBLE_DEVICES");
    return text == NULL ? 0 : (unsigned)atoi(text);
}

nvmlReturn_t nvmlInit_v2(void) { return getenv("COMITY_DOUBLE_BROKEN") != NULL ? 9 : (ready++, 0); }
nvmlReturn_t nvmlShutdown(void) { return ready-- > 0 ? 0 : 1; }

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *value) {
    if (!ready)
        return 1;
    *value = count();
    return 0;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    if (!ready || index >= count())
        return 2;
    if (index == 9)
        return 15; /* NVML_ERROR_GPU_IS_LOST */
    devices[index].index = index;
    *device = (nvmlDevice_t)&devices[index];
    return 0;
}

static nvmlReturn_t put(char *to, unsigned room, const char *text) {
    if (strlen(text) >= room)
        return 7; /* NVML_ERROR_INSUFFICIENT_SIZE */
    strcpy(to, text);
    return 0;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
    (void)device;
    return put(name, length, "NVIDIA H100 80GB HBM3");
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length) {
    char text[64];
    snprintf(text, sizeof text, "GPU-00000000-0000-0000-0000-00000000000%u", device->index);
    return put(uuid, length, text);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    (void)device;
    *memory = (nvmlMemory_t){85520809984ULL, 85520809984ULL, 0};
    return 0;
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned *minor) {
    *minor = device->index;
    return 0;
}
